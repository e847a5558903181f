"""Duels: which of two answers to the same question a judge prefers, in both orders, without knowing who wrote them."""
