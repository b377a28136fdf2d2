"""Evaluation: systems that answer questions about conversations, under one prompt and one set of metrics."""

from __future__ import annotations
