"""Files that a question refers to: images, and the text of documents. It knows no faces and no providers."""
