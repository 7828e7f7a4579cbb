"""From a conversation to the model's text and tokens: the chat template, the tokenizer, and which tokens carry loss.
"""

from __future__ import annotations

from tokenizers import Tokenizer

from world import Example

# The image tokens are there so that a model with the same tokenizer can be given eyes; this one never sees them.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]

# `developer` is another name for `system`; content is a text, or parts of which the texts count; a message may have no content.
CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + ('system' if message['role'] == 'developer' else message['role']) + '\\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- elif message['content'] %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'text' %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""


def text_of(content: str | list[dict] | None) -> str:
    """What the template makes of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part["text"] for part in content if part["type"] == "text")


def render(messages: list[dict], prompt: bool = False) -> str:
    """The chat template, in Python. `prompt` opens the assistant's turn."""
    roles = {"developer": "system"}
    text = "".join(f"<|im_start|>{roles.get(m['role'], m['role'])}\n{text_of(m.get('content'))}<|im_end|>\n" for m in messages)
    return text + "<|im_start|>assistant\n" if prompt else text


class Encoder:
    """Text to token ids and to a mask of the tokens that carry loss: what the assistant says, and its <|im_end|>."""

    def __init__(self, path: str):
        self.tokenizer = Tokenizer.from_file(path)
        self.end_of_text, self.im_start, self.im_end = (self.tokenizer.token_to_id(t) for t in SPECIAL[:3])
        self.assistant = self.tokenizer.encode("assistant\n").ids
        self.vocabulary = self.tokenizer.get_vocab_size()

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def chat(self, example: Example) -> tuple[list[int], list[bool]]:
        ids = self.ids(render(example.messages)) + [self.end_of_text]
        mask = [False] * len(ids)
        header = [self.im_start, *self.assistant]
        i = 0
        while i < len(ids):
            if ids[i] == self.im_start and ids[i : i + len(header)] == header:
                i += len(header)
                while ids[i] != self.im_end:
                    mask[i] = True
                    i += 1
                mask[i] = True
            i += 1
        return ids, mask

    def plain(self, text: str) -> tuple[list[int], list[bool]]:
        ids = self.ids(text) + [self.end_of_text]
        return ids, [True] * len(ids)
