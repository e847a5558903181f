"""Mixture-of-Agents pipelines: several models answer, others synthesise, rank, vote or aggregate."""
