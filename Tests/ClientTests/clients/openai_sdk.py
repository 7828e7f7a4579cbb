"""The official OpenAI SDK, unmodified, against the server: what an application developer sees first.

    python openai_sdk.py [WORD ...]     only the checks whose names contain a word
"""

from __future__ import annotations

import asyncio

import openai
from openai import AsyncOpenAI, OpenAI

from service import API_KEY, MODEL, URL, metrics, reference_answers, run, wait_until_idle

KEY = API_KEY or "unused"
client = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=120)

SUM = [{"role": "user", "content": "What is 347 + 285?"}]
SUM_ANSWER = "7 + 5 = 12, 4 + 8 + 1 = 13, 3 + 2 + 1 = 6. So 347 + 285 = 632."
STORY = [{"role": "user", "content": "Tell me a story about a ferry in a storm."}]
BEGINNING = "Once there was a lighthouse in the harbour of Oslo."
ENDLESS = {"max_tokens": 1500, "extra_body": {"ignore_eos": True}}
CLEAR_MARGIN = 1.0  # logits; far above what rounding to bf16 changes


def chat(messages=SUM, **options):
    return client.chat.completions.create(model=MODEL, messages=messages, **{"temperature": 0, **options})


def expect_error(kind: type[openai.APIStatusError], action, code: str | None = None, param: str | None = None) -> openai.APIStatusError:
    try:
        result = action()
    except kind as error:
        assert isinstance(error.body, dict) and {"message", "type", "param", "code"} <= error.body.keys(), error.body
        assert error.body["message"], "an error without a message"
        assert code is None or error.code == code, (error.code, code)
        assert param is None or error.param == param, (error.param, param)
        return error
    raise AssertionError(f"{kind.__name__} was expected, the answer was {result!r}")


def text_of(stream) -> str:
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def check_models_are_listed_and_retrieved():
    models = client.models.list().data
    assert [m.id for m in models] == [MODEL], models
    one = client.models.retrieve(MODEL)
    assert one.id == MODEL and one.object == "model" and one.owned_by and one.created > 0, one
    expect_error(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"), "model_not_found")


def check_a_chat_answer_is_complete():
    answer = chat()
    choice = answer.choices[0]
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion" and answer.model == MODEL and answer.created > 0, answer
    assert choice.message.role == "assistant" and choice.message.content == SUM_ANSWER and choice.finish_reason == "stop", choice
    assert answer.usage.prompt_tokens == 16 and answer.usage.completion_tokens in (32, 33), answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage


def check_every_clear_reference_answer_is_given():
    """Greetings, sums, JSON, and look-ups in manifests of up to 60 crates over several turns."""
    references = reference_answers(CLEAR_MARGIN)
    assert len(references) >= 8, len(references)
    for reference in references:
        answer = chat(reference["messages"])
        assert answer.choices[0].message.content == reference["text"], (reference["text"], answer.choices[0].message.content)
        assert answer.usage.prompt_tokens == len(reference["prompt_ids"]), answer.usage


def check_developer_role_and_content_parts_are_understood():
    plain = chat([{"role": "system", "content": "You are Pilot. Answer briefly and exactly."}, *SUM])
    parts = chat([{"role": "developer", "content": [{"type": "text", "text": "You are Pilot. "}, {"type": "text", "text": "Answer briefly and exactly."}]},
                  {"role": "user", "content": [{"type": "text", "text": SUM[0]["content"]}]}])
    assert "632" in plain.choices[0].message.content, plain
    assert parts.choices[0].message.content == plain.choices[0].message.content, parts
    assert parts.usage.prompt_tokens == plain.usage.prompt_tokens, (parts.usage, plain.usage)


def check_a_stream_gives_the_same_answer():
    chunks = list(chat(stream=True))
    assert all(c.object == "chat.completion.chunk" and c.id == chunks[0].id and c.model == MODEL and c.created == chunks[0].created for c in chunks)
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == SUM_ANSWER
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["stop"], chunks[-1]
    assert len([c for c in chunks if c.choices[0].delta.content]) > 5, "the answer came in one piece"
    assert all(c.usage is None for c in chunks)


def check_usage_comes_last_in_a_stream_that_asks_for_it():
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.prompt_tokens == 16, chunks[-1]
    assert all(c.choices and c.usage is None for c in chunks[:-1])
    assert chunks[-1].usage == chat().usage


def check_the_streaming_helper_accumulates():
    with client.chat.completions.stream(model=MODEL, messages=SUM, temperature=0) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(pieces) == SUM_ANSWER == final.choices[0].message.content, final


def check_completions_continue_a_text():
    answer = client.completions.create(model=MODEL, prompt=BEGINNING, max_tokens=16, temperature=0)
    assert answer.object == "text_completion" and answer.choices[0].text and answer.choices[0].finish_reason == "length", answer
    assert answer.usage.completion_tokens == 16, answer.usage
    stream = client.completions.create(model=MODEL, prompt=BEGINNING, max_tokens=16, temperature=0, stream=True)
    assert "".join(c.choices[0].text for c in stream if c.choices) == answer.choices[0].text


def check_completions_take_several_prompts_and_token_ids():
    sums = reference_answers(CLEAR_MARGIN)[2:4]
    texts = client.completions.create(model=MODEL, prompt=[s["prompt"] for s in sums], max_tokens=64, temperature=0)
    assert [(c.index, c.text, c.finish_reason) for c in texts.choices] == [(i, s["text"], "stop") for i, s in enumerate(sums)], texts
    ids = client.completions.create(model=MODEL, prompt=[s["prompt_ids"] for s in sums], max_tokens=64, temperature=0)
    assert [c.text for c in ids.choices] == [s["text"] for s in sums], ids


def check_chat_logprobs():
    answer = chat(logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert b"".join(bytes(t.bytes) for t in tokens).decode().startswith(SUM_ANSWER), tokens
    for token in tokens:
        top = [t.logprob for t in token.top_logprobs]
        assert len(top) == 3 and top == sorted(top, reverse=True) and all(p <= 0 for p in top), token
        assert token.token == token.top_logprobs[0].token and abs(token.logprob - top[0]) < 1e-6, token
    streamed = [t for c in chat(logprobs=True, top_logprobs=3, stream=True) for t in (c.choices[0].logprobs.content or [] if c.choices[0].logprobs else [])]
    assert [(t.token, t.logprob) for t in streamed] == [(t.token, t.logprob) for t in tokens]


def check_completion_logprobs():
    answer = client.completions.create(model=MODEL, prompt=BEGINNING, max_tokens=8, temperature=0, logprobs=2)
    found = answer.choices[0].logprobs
    assert "".join(found.tokens) == answer.choices[0].text, found
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset) == 8, found
    assert found.text_offset == sorted(found.text_offset), found.text_offset


def check_n_gives_several_choices():
    options = dict(n=2, temperature=1.0, seed=7, max_tokens=40)
    answer = chat(STORY, **options)
    assert [c.index for c in answer.choices] == [0, 1], answer
    assert answer.choices[0].message.content != answer.choices[1].message.content, "two choices with one seed are the same"
    texts = ["", ""]
    for chunk in chat(STORY, stream=True, **options):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [c.message.content for c in answer.choices], texts


def check_stop_strings_end_the_answer_and_are_left_out():
    before = SUM_ANSWER[: SUM_ANSWER.index("So 347")]
    for stop in ("So 347", ["never", "So 347"]):
        answer = chat(stop=stop).choices[0]
        assert answer.message.content == before and answer.finish_reason == "stop", answer
        assert text_of(chat(stop=stop, stream=True)) == before


def check_the_length_limit_is_kept():
    for name in ("max_tokens", "max_completion_tokens"):
        answer = chat(**{name: 5})
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 5, answer
        assert SUM_ANSWER.startswith(answer.choices[0].message.content), answer


def check_a_seed_reproduces_an_answer_whatever_runs_beside_it():
    options = dict(temperature=1.0, top_p=0.95, max_tokens=60)
    alone = [chat(STORY, seed=s, **options).choices[0].message.content for s in (1, 2, 3)]
    assert len(set(alone)) == 3, "different seeds give one answer"

    async def together() -> list[str]:
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=120) as many:
            async def one(seed: int) -> str:
                answer = await many.chat.completions.create(model=MODEL, messages=STORY, seed=seed, **options)
                return answer.choices[0].message.content
            return await asyncio.gather(*(one(s) for s in range(12)))

    assert asyncio.run(together())[1:4] == alone


def check_many_concurrent_streams_get_the_answers_they_get_alone():
    references = reference_answers(CLEAR_MARGIN)

    async def stream(many: AsyncOpenAI, reference: dict) -> str:
        chunks = await many.chat.completions.create(model=MODEL, messages=reference["messages"], temperature=0, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in chunks])

    async def together() -> list[str]:
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=120) as many:
            return await asyncio.gather(*(stream(many, r) for r in references * 3))

    assert asyncio.run(together()) == [r["text"] for r in references * 3]


def check_mistakes_are_answered_with_their_cause():
    bad = openai.BadRequestError
    expect_error(openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=SUM), "model_not_found")
    expect_error(openai.NotFoundError, lambda: client.post("/no-such-route", body={}, cast_to=object), "route_not_found")
    expect_error(bad, lambda: chat(temperature=9), param="temperature")
    expect_error(bad, lambda: chat(extra_body={"temperature": "hot"}), param="temperature")
    expect_error(bad, lambda: chat(max_tokens=-1), param="max_tokens")
    expect_error(bad, lambda: chat(n=0), param="n")
    expect_error(bad, lambda: chat([]), param="messages")
    expect_error(bad, lambda: chat([{"role": "stranger", "content": "Hello"}]), param="messages[0].role")
    expect_error(bad, lambda: chat([{"role": "user", "content": "tea salt rope " * 1000}]), "context_length_exceeded")
    assert "632" in chat(extra_body={"a_field_nobody_knows": 1}).choices[0].message.content


def check_request_ids_are_given_and_echoed():
    given = client.chat.completions.with_raw_response.create(model=MODEL, messages=SUM, max_tokens=1)
    assert given.headers["x-request-id"], given.headers
    echoed = client.chat.completions.with_raw_response.create(model=MODEL, messages=SUM, max_tokens=1, extra_headers={"x-request-id": "mine-1"})
    assert echoed.headers["x-request-id"] == "mine-1", echoed.headers


def check_a_stream_that_is_closed_early_ends_its_generation():
    for _ in range(3):
        with chat(STORY, stream=True, **ENDLESS) as stream:
            for _ in zip(range(5), stream):
                pass
    end = wait_until_idle()
    assert metrics()["ferry_generation_tokens_total"] == end["ferry_generation_tokens_total"], "tokens are still generated"


def check_cancelled_tasks_end_their_generation():
    async def cancel_some() -> None:
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=120) as many:
            started = asyncio.Semaphore(0)

            async def read() -> None:
                stream = await many.chat.completions.create(model=MODEL, messages=STORY, stream=True, **ENDLESS)
                async for _ in stream:
                    started.release()

            async def wait() -> None:  # not streamed: the client just goes away
                await many.chat.completions.create(model=MODEL, messages=STORY, **ENDLESS)

            tasks = [asyncio.create_task(read()) for _ in range(4)] + [asyncio.create_task(wait()) for _ in range(4)]
            for _ in range(20):
                await started.acquire()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(cancel_some())
    wait_until_idle()


def check_authentication():
    if not API_KEY:
        return  # the server is open
    stranger = OpenAI(base_url=f"{URL}/v1", api_key="wrong", max_retries=0)
    expect_error(openai.AuthenticationError, lambda: stranger.models.list(), "invalid_api_key")
    expect_error(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=MODEL, messages=SUM), "invalid_api_key")
    assert chat().choices[0].message.content == SUM_ANSWER


if __name__ == "__main__":
    run(dict(globals()))
