"""The tokenizer, trained on generated text.
"""

from __future__ import annotations

import random
import re

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from chat import SPECIAL, render
from mixture import other
from recall import recall


def train_tokenizer(path: str, vocabulary: int = 2048, seed: int = 0) -> None:
    """Byte-level BPE with the GPT-2 pre-tokeniser. Three-digit numbers stay out of the text, so that crate numbers (10 to 99) become
    one token each and longer numbers are two digits and then single digits, always in the same way."""
    rng = random.Random(f"tokenizer {seed}")
    texts = []
    for _ in range(1500):
        texts.append(render(recall(rng, rng.randint(10, 30), 12).messages))
        texts.extend(render(other(rng).messages) for _ in range(12))
    texts = [re.sub(r"\d{3,}", "7", re.sub(r"<\|im_(start|end)\|>", "", t)) for t in texts]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(path)
