// Node's HTTP/2 client against the server: concurrent streams on one session, and a reset in the middle of a stream that must end its
// generation. Settings come from the environment as for the other clients (service.py).
import http2 from 'node:http2';
import assert from 'node:assert/strict';

const url = process.env.FERRY_URL ?? 'http://127.0.0.1:8080';
const adminURL = process.env.FERRY_OPERATOR_URL ?? 'http://127.0.0.1:9090';
const authorization = process.env.FERRY_API_KEY ? { authorization: `Bearer ${process.env.FERRY_API_KEY}` } : {};

const session = http2.connect(url);
session.on('error', (error) => { console.error('session:', error); process.exit(1); });

function post(path, body) {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/json', ...authorization });
    stream.end(JSON.stringify(body));
    return stream;
}

/** The status and the whole body of an exchange. */
function finished(stream) {
    return new Promise((resolve, reject) => {
        let status, text = '';
        stream.setEncoding('utf8');
        stream.on('response', (headers) => { status = headers[':status']; });
        stream.on('data', (piece) => { text += piece; });
        stream.on('end', () => resolve({ status, text }));
        stream.on('error', reject);
    });
}

const ask = (content, more = {}) => ({ messages: [{ role: 'user', content }], temperature: 0, ...more });
const events = (text) => text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => e.slice(6));
const content = (text) => events(text).slice(0, -1).map((e) => JSON.parse(e).choices[0]?.delta.content ?? '').join('');

async function gauges() {
    const text = await (await fetch(`${adminURL}/metrics`)).text();
    const sum = (name) => text.split('\n').filter((l) => l.startsWith(`${name}{`) || l.startsWith(`${name} `))
        .reduce((total, l) => total + Number(l.slice(l.lastIndexOf(' ') + 1)), 0);
    return { active: sum('ferry_requests_active'), running: sum('ferry_sequences_running'), waiting: sum('ferry_sequences_waiting') };
}

async function untilIdle(seconds = 20) {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
        const now = await gauges();
        if (now.active === 0 && now.running === 0 && now.waiting === 0) return;
        assert(performance.now() < deadline, `still in work after ${seconds} s: ${JSON.stringify(now)}`);
        await new Promise((resolve) => setTimeout(resolve, 20)); // the pace of asking
    }
}

const checks = {
    async 'several streams on one session get their own answers'() {
        const sums = [['347 + 285', '632'], ['632 - 285', '347'], ['12 + 30', '42'], ['100 - 1', '99']];
        const answers = await Promise.all(Array.from({ length: 24 }, async (_, i) => {
            const [sum, result] = sums[i % sums.length];
            return { ...(await finished(post('/v1/chat/completions', ask(`What is ${sum}?`, { stream: true })))), result };
        }));
        for (const { status, text, result } of answers) {
            assert.equal(status, 200);
            assert.equal(events(text).at(-1), '[DONE]');
            assert(content(text).endsWith(` = ${result}.`), content(text));
        }
    },

    async 'a stream is delivered piece by piece'() {
        const stream = post('/v1/chat/completions', ask('Tell me a story.', { stream: true, ignore_eos: true, max_tokens: 500 }));
        let pieces = 0;
        stream.on('data', () => { pieces += 1; });
        await finished(stream);
        assert(pieces > 3, `the answer came in ${pieces} pieces`);
    },

    async 'a reset in the middle ends that stream and its generation, and no other'() {
        const other = finished(post('/v1/chat/completions', ask('What is 347 + 285?', { stream: true })));
        const endless = post('/v1/chat/completions', ask('Tell me a story.', { stream: true, ignore_eos: true, max_tokens: 1800 }));
        await new Promise((resolve, reject) => {
            let seen = 0;
            endless.on('data', () => { if ((seen += 1) === 3) endless.close(http2.constants.NGHTTP2_CANCEL); });
            endless.on('close', resolve);
            endless.on('error', reject);
        });
        assert(content((await other).text).endsWith('632.'));
        await untilIdle();
        assert.equal((await finished(session.request({ ':path': '/v1/models', ...authorization }))).status, 200, 'the session still serves');
    },

    async 'resets before the answer begins end their generation'() {
        const streams = Array.from({ length: 16 }, () => post('/v1/chat/completions', ask('Tell me a story.', { ignore_eos: true, max_tokens: 1800 })));
        await new Promise((resolve) => session.ping(resolve)); // the server has them all
        for (const stream of streams) {
            stream.on('error', () => {});
            stream.close(http2.constants.NGHTTP2_CANCEL);
        }
        await untilIdle();
    },

    async 'a client that stops reading one stream still gets the others'() {
        const paused = post('/v1/chat/completions', ask('Tell me a story.', { stream: true, ignore_eos: true, max_tokens: 600 }));
        paused.pause();
        assert(content((await finished(post('/v1/chat/completions', ask('What is 12 + 30?', { stream: true })))).text).endsWith('42.'));
        const rest = finished(paused);
        paused.resume();
        const { text } = await rest;
        assert.equal(events(text).at(-1), '[DONE]');
        await untilIdle();
    },
};

let failed = 0;
for (const [title, check] of Object.entries(checks)) {
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('no end after 120 s')), 120_000).unref());
    try {
        await Promise.race([check(), limit]);
        console.log(`ok    ${title}`);
    } catch (error) {
        failed += 1;
        console.log(`FAIL  ${title}\n${error.stack}`);
    }
}
session.close();
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
