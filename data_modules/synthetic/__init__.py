"""Invented talkers, drawn and synthesized, whose faces, voices, emotions and lips are known exactly."""

from data_modules.synthetic.corpus import write_corpus

__all__ = ["write_corpus"]
