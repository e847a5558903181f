"""Inspect (inspect_ai) on both sides: pipelines as models of its evaluations, and its tasks as questions of ours.

``inspect eval TASK --model moa/PIPELINE`` finds `registry` through an entry point. Only this folder knows inspect_ai.
"""
