import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { httpWeb } from '../src/cli/web.js';
import { gateEntry, type Gate, type PrometheusGate, type WebhookGate } from '../src/gates.js';
import { prometheusReady, watchPrometheus } from '../src/gates/prometheus.js';
import { watchWebhook } from '../src/gates/webhook.js';
import { watchProbe } from '../src/gates/probe.js';
import type { StepContext } from '../src/step.js';

/** Gates against real HTTP servers that answer as Prometheus and webhooks do; only the clock is set by hand. */

const servers: Server[] = [];

async function serve(
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => unknown,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => void answer(request, body, response));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => {
  for (const it of servers.splice(0)) {
    it.closeAllConnections();
    it.close();
  }
});

const T0 = 1_790_000_000_000;
const hand = () => {
  let at = T0;
  return { now: () => at, sleep: () => Promise.resolve(), to: (ms: number) => (at = T0 + ms) };
};

const parsed = <G extends Gate>(entry: unknown) => gateEntry.parse(entry) as G;

/** As Prometheus answers: points are asked for one by one. */
type Figures = (query: string, at: number) => string | undefined;

const matrix = (form: URLSearchParams, figures: Figures, series = 1) => {
  const [start, end, step] = ['start', 'end', 'step'].map((it) => Number(form.get(it)));
  const values: [number, string][] = [];
  for (let at = start ?? 0; at <= (end ?? 0) + 1e-6; at += step ?? 1) {
    const value = figures(form.get('query') ?? '', at);
    if (value !== undefined) values.push([at, value]);
  }
  const result =
    values.length === 0 ? [] : Array.from({ length: series }, (_, it) => ({ metric: { it: String(it) }, values }));
  return JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } });
};

async function prometheus(figures: Figures, asked: URLSearchParams[] = []): Promise<string> {
  return serve((request, body, response) => {
    assert.equal(request.url, '/api/v1/query_range');
    assert.equal(request.headers['content-type'], 'application/x-www-form-urlencoded');
    const form = new URLSearchParams(body);
    asked.push(form);
    response.setHeader('content-type', 'application/json').end(matrix(form, figures));
  });
}

/** Looks so many times, a window apart, and says how it stands after each. */
async function looks(gate: PrometheusGate, times: number, env: Record<string, string> = {}) {
  const clock = hand();
  const watch = watchPrometheus(gate, { clock, web: httpWeb(env) });
  await watch.look();
  const states: string[] = [];
  for (let look = 1; look <= times; look++) {
    clock.to(look * gate.every);
    await watch.look();
    states.push(watch.seen().state);
  }
  return { states, seen: watch.seen() };
}

describe('a value of Prometheus', () => {
  const gate = (url: string, more: object = {}) =>
    parsed<PrometheusGate>({ prometheus: url, query: 'p99', max: 0.5, every: '15s', timeout: '200ms', ...more });

  test('passes after five windows within its bounds, each asked for once, in one range query', async () => {
    const asked: URLSearchParams[] = [];
    const { states, seen } = await looks(gate(await prometheus(() => '0.31', asked)), 6);
    assert.deepEqual(states, ['wait', 'wait', 'wait', 'wait', 'pass', 'pass']);
    assert.equal(seen.why, '0 of 6 looks failed');
    assert.deepEqual(
      seen.evidence.values,
      Array.from({ length: 6 }, () => 0.31),
    );
    assert.deepEqual(
      asked.map((it) => [
        it.get('query'),
        Number(it.get('start')) - T0 / 1000,
        Number(it.get('end')) - T0 / 1000,
        it.get('step'),
      ]),
      [15, 30, 45, 60, 75, 90].map((at) => ['p99', at, at, '15']),
    );
  });

  test('fails after two windows beyond its bounds, above or below, and by infinity', async () => {
    for (const [value, bounds] of [
      ['0.51', { max: 0.5 }],
      ['0.98', { max: undefined, min: 0.99 }],
      ['+Inf', { max: 0.5 }],
    ] as const) {
      const { states } = await looks(gate(await prometheus(() => value), bounds), 3);
      assert.deepEqual(states, ['wait', 'fail', 'fail'], value);
    }
  });

  test('one window beyond them is outweighed by those that follow', async () => {
    const { states } = await looks(gate(await prometheus((_query, at) => (at === T0 / 1000 + 15 ? '9' : '0.1'))), 12);
    assert.equal(states[0], 'wait');
    assert.equal(states.at(-1), 'pass');
    assert.ok(states.indexOf('pass') > 6, String(states.indexOf('pass')));
  });

  test('is judged by its worst series, and refused where it has too many of them', async () => {
    const two = await serve((_request, body, response) => {
      const form = new URLSearchParams(body);
      const one = (value: string) => ({ metric: {}, values: [[Number(form.get('start')), value]] });
      response.end(
        JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [one('0.1'), one('0.9')] } }),
      );
    });
    assert.deepEqual((await looks(gate(two), 2)).states, ['wait', 'fail']);
    const many = await serve((_request, body, response) =>
      response.end(matrix(new URLSearchParams(body), () => '0', 60)),
    );
    const { seen } = await looks(gate(many), 1);
    assert.match(seen.why, /60 series: aggregate/);
  });

  test('no data is never fine: four windows without any break it, whatever the reason', async (t) => {
    const reply = (status: number, body: string) =>
      serve((_request, _body, response) => response.writeHead(status).end(body));
    const error = (errorType: string, text: string) => JSON.stringify({ status: 'error', errorType, error: text });
    const cases: Record<string, [url: string, why: RegExp]> = {
      'an empty matrix': [await prometheus(() => undefined), /gives no value/],
      NaN: [await prometheus(() => 'NaN'), /gives no value/],
      'a series that ended': [await prometheus((_query, at) => (at < T0 / 1000 ? '0.1' : undefined)), /gives no value/],
      '422': [await reply(422, error('execution', 'multiple matches for labels')), /422 execution: multiple matches/],
      '503': [
        await reply(503, error('timeout', 'query timed out in expression evaluation')),
        /503 timeout: query timed out/,
      ],
      '502 of a proxy': [await reply(502, '<html>Bad Gateway</html>'), /502 <html>Bad Gateway/],
      'a login page': [await reply(302, ''), /302/],
      'another service': [await reply(200, '<html>welcome</html>'), /no answer of Prometheus: <html>welcome/],
      'a vector': [
        await reply(200, JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [] } })),
        /no answer of Prometheus/,
      ],
      'no answer in time': [await serve(() => undefined), /no answer within 0\.2 s/],
      'nobody there': ['http://127.0.0.1:9', /ECONNREFUSED/],
    };
    for (const [name, [url, why]] of Object.entries(cases)) {
      const { states, seen } = await looks(gate(url), 4);
      assert.deepEqual(states, ['wait', 'wait', 'wait', 'fail'], name);
      assert.match(seen.why, why, name);
      t.diagnostic(`${name}: ${seen.why}`);
    }
  });

  test('windows missed while it did not answer are asked for again', async () => {
    let down = true;
    const asked: string[] = [];
    const url = await serve((_request, body, response) => {
      const form = new URLSearchParams(body);
      asked.push(`${Number(form.get('start')) - T0 / 1000}-${Number(form.get('end')) - T0 / 1000}`);
      if (down) response.writeHead(503).end();
      else response.end(matrix(form, () => '0.1'));
    });
    const clock = hand();
    const watch = watchPrometheus(gate(url), { clock, web: httpWeb({}) });
    await watch.look();
    for (const at of [15, 30, 45]) {
      clock.to(at * 1000);
      await watch.look();
    }
    down = false;
    clock.to(75_000);
    await watch.look();
    assert.deepEqual(asked, ['15-15', '15-30', '15-45', '15-75']);
    assert.equal(watch.seen().state, 'pass');
  });

  test('a window in which the source is as bad says nothing, for going back would not help', async () => {
    const both = await prometheus(() => '0.9');
    const { states, seen } = await looks(gate(both, { against: { query: 'p99 of the source' } }), 8);
    assert.deepEqual(new Set(states), new Set(['wait']));
    assert.match(seen.why, /8 looks in which the source was as bad/);
    const healthy = await prometheus((query) => (query.includes('source') ? '0.1' : '0.9'));
    assert.equal((await looks(gate(healthy, { against: { query: 'p99 of the source' } }), 2)).seen.state, 'fail');
  });

  test('a window with too few requests says nothing', async () => {
    const figures: Figures = (query) => (query.startsWith('sum(increase') ? '12' : '0.1');
    const requests = 'sum(increase(http_requests_total[$window]))';
    const { states, seen } = await looks(gate(await prometheus(figures), { requests, atLeast: 100 }), 6);
    assert.deepEqual(new Set(states), new Set(['wait']));
    assert.match(seen.why, /6 looks with fewer than 100 requests/);
  });
});

describe('requests and errors counted by Prometheus', () => {
  const ERRORS = 'sum(increase(http_requests_total{code=~"5.."}[$window]))';
  const REQUESTS = 'sum(increase(http_requests_total[$window]))';
  const gate = (url: string, more: object = {}) =>
    parsed<PrometheusGate>({ prometheus: url, errors: ERRORS, requests: REQUESTS, every: '30s', ...more });
  const counted =
    (errors: string, requests: string): Figures =>
    (query) =>
      query.includes('5..') ? errors : requests;

  test('$window is the time between two looks', async () => {
    const asked: URLSearchParams[] = [];
    await looks(gate(await prometheus(counted('0', '500'), asked)), 1);
    assert.deepEqual(
      new Set(asked.map((it) => it.get('query'))),
      new Set([ERRORS, REQUESTS].map((it) => it.replace('$window', '30s'))),
    );
  });

  test('pass after three clean buckets with enough requests, extrapolated as they are', async () => {
    const { states, seen } = await looks(gate(await prometheus(counted('0', '133.4'))), 3);
    assert.deepEqual(states, ['wait', 'wait', 'pass']);
    assert.deepEqual(seen.evidence.sides, { target: { requests: 399, errors: 0 } });
  });

  test('fail by the second bucket with errors', async () => {
    const { states, seen } = await looks(gate(await prometheus(counted('8', '100'))), 2);
    assert.deepEqual(states, ['wait', 'fail']);
    assert.equal(seen.why, '16 of 200 requests failed');
  });

  test('the share that is fine comes from the source where that is larger', async () => {
    // The source fails 3 % before and after; the target no more than that.
    const same = await prometheus((query) => (query.includes('5..') ? '30' : '1000'));
    assert.equal((await looks(gate(same), 2)).seen.state, 'fail');
    const { seen } = await looks(gate(same, { against: { errors: ERRORS.replace('{', '{cluster="old",') } }), 3);
    assert.equal(seen.state, 'pass');
    assert.match(seen.why, /the source itself failed 3 %/);
    assert.deepEqual(seen.evidence.sides, {
      source: { requests: 3000, errors: 90 },
      target: { requests: 3000, errors: 90 },
    });
    const worse = await prometheus((query) => (query.includes('5..') ? (query.includes('old') ? '3' : '60') : '1000'));
    const { seen: broken } = await looks(
      gate(worse, { against: { errors: ERRORS.replace('{', '{cluster="old",') } }),
      2,
    );
    assert.equal(broken.state, 'fail');
  });

  test('a series of errors that does not exist yet is no zero, and says how to make it one', async () => {
    const { states, seen } = await looks(
      gate(await prometheus((query) => (query.includes('5..') ? undefined : '500'))),
      4,
    );
    assert.equal(states.at(-1), 'fail');
    assert.match(seen.why, /or vector\(0\)/);
  });

  test('a target that nobody asked anything is not judged', async () => {
    const { states } = await looks(gate(await prometheus(counted('0', '0'))), 6);
    assert.deepEqual(new Set(states), new Set(['wait']));
  });
});

describe('a query', () => {
  const gate = (url: string, more: object = {}) =>
    parsed<PrometheusGate>({ prometheus: url, query: 'up', min: 1, every: '15s', ...more });

  test('goes by GET where POST is not let through', async () => {
    const methods: string[] = [];
    const url = await serve((request, _body, response) => {
      methods.push(request.method ?? '');
      if (request.method === 'POST') response.writeHead(405).end();
      else response.end(matrix(new URL(request.url ?? '', 'http://x').searchParams, () => '1'));
    });
    const { seen } = await looks(gate(url), 1);
    assert.deepEqual(methods, ['POST', 'GET']);
    assert.deepEqual(seen.evidence.values, [1]);
  });

  test('carries a token from the environment, which no evidence shows', async () => {
    const secret = 'eyJ-very-secret';
    const url = await serve((request, _body, response) => {
      assert.equal(request.headers.authorization, `Bearer ${secret}`);
      response.writeHead(401).end(`token=${secret} is not known`);
    });
    const { seen } = await looks(gate(url, { tokenFrom: 'PROM_TOKEN' }), 1, { PROM_TOKEN: secret });
    assert.match(seen.why, /401/);
    assert.ok(!JSON.stringify(seen).includes(secret), JSON.stringify(seen));
    const { seen: without } = await looks(gate(url, { tokenFrom: 'PROM_TOKEN' }), 1);
    assert.match(without.why, /environment variable PROM_TOKEN is not set/);
  });

  test('evidence is small, whatever the server says', async () => {
    const url = await serve((_request, _body, response) => response.writeHead(500).end('x'.repeat(900_000)));
    const { seen } = await looks(gate(url), 3);
    assert.ok(JSON.stringify(seen).length < 2000, String(JSON.stringify(seen).length));
    const endless = await serve((_request, _body, response) => response.end('x'.repeat(3 << 20)));
    assert.match((await looks(gate(endless), 1)).seen.why, /more than 1048576 bytes/);
  });

  test('is tried before anything is changed: what is wrong with it is told, and a source without figures too', async () => {
    const world = (url: string, more: object = {}) =>
      prometheusReady(gate(url, more), { clock: hand(), web: httpWeb({}) });
    const bad = await serve((_request, _body, response) =>
      response
        .writeHead(400)
        .end(JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'parse error: unexpected "}"' })),
    );
    assert.match((await world(bad)) ?? '', /^target query at http.*: 400 bad_data: parse error/);
    assert.equal(await world(await prometheus(() => undefined)), undefined, 'a target may have none yet');
    const silent = await prometheus(() => undefined);
    assert.match(
      (await world(silent, { against: { query: 'up{cluster="old"}' } })) ?? '',
      /source query .* no value, although the source serves/,
    );
  });
});

describe('a webhook', () => {
  const context = (web = httpWeb({})) =>
    ({ world: { web }, step: { id: 'traffic/20' }, mark: 'abcd1234' }) as unknown as StepContext;
  const held = { service: 'shop/web', asked: 20, holdMs: 600_000, leastMs: 600_000 };

  test('gets what Flagger sends', async () => {
    let got: unknown;
    const url = await serve((request, body, response) => {
      assert.equal(request.method, 'POST');
      assert.equal(request.headers['content-type'], 'application/json');
      got = JSON.parse(body);
      response.end('ok');
    });
    const watch = watchWebhook(parsed<WebhookGate>({ webhook: url, metadata: { team: 'web' } }), held, context());
    assert.equal(watch.seen().state, 'wait');
    await watch.look();
    assert.deepEqual(got, {
      name: 'web',
      namespace: 'shop',
      phase: 'Progressing',
      checksum: 'abcd1234',
      metadata: { team: 'web', step: 'traffic/20', share: '20' },
    });
    assert.deepEqual([watch.seen().state, watch.seen().why], ['pass', 'answered 200 ok']);
  });

  test('holds on anything but 2xx, and goes on when that changes', async () => {
    let status = 200;
    const url = await serve((_request, _body, response) => response.writeHead(status).end('not yet: password=hunter2'));
    const watch = watchWebhook(parsed<WebhookGate>({ webhook: url, timeout: '200ms' }), held, context());
    for (const [answer, state] of [
      [403, 'wait'],
      [204, 'pass'],
      [301, 'wait'],
      [500, 'wait'],
      [202, 'pass'],
      [409, 'wait'],
    ] as const) {
      status = answer;
      await watch.look();
      assert.equal(watch.seen().state, state, String(answer));
    }
    assert.match(watch.seen().why, /^holds: 409 not yet/);
    assert.ok(!JSON.stringify(watch.seen()).includes('hunter2'));
  });

  test('holds when it does not answer in time', async () => {
    const watch = watchWebhook(
      parsed<WebhookGate>({ webhook: await serve(() => undefined), timeout: '150ms' }),
      held,
      context(),
    );
    await watch.look();
    assert.deepEqual([watch.seen().state, watch.seen().why], ['wait', 'holds: no answer within 0.15 s']);
  });
});

describe('a probe', () => {
  const gate = parsed<Extract<Gate, { probe: string }>>({ probe: 'http://shop.example.com/' });

  /** `failing` says of each probe by its number whether it fails. */
  async function probes(number: number, failing: (index: number) => boolean) {
    const clock = hand();
    let sent = 0;
    const prober = {
      probe: () =>
        Promise.resolve(failing(sent++) ? { ok: false, status: 502, ms: 1 } : { ok: true, status: 200, ms: 1 }),
    };
    const watch = watchProbe(gate, { holdMs: 600_000 }, { clock, prober });
    for (let index = 0; index < number; index++) {
      clock.to(index * 1000);
      await watch.look();
      await Promise.resolve();
      if (watch.seen().state === 'fail') return { ...watch.seen(), after: index + 1 };
    }
    return { ...watch.seen(), after: number };
  }

  test('passes by clean answers, and says how many are missing until then', async () => {
    const early = await probes(101, () => false);
    assert.deepEqual([early.state, early.why], ['wait', '0 of 101 probes failed, 225 more clean ones pass it']);
    assert.equal((await probes(340, () => false)).state, 'pass');
  });

  test('fails within two buckets of a total failure, with the answer as evidence', async () => {
    const { state, after: asked, evidence } = await probes(600, (index) => index >= 100);
    assert.equal(state, 'fail');
    assert.ok(asked <= 115, `${asked} probes`);
    assert.equal(evidence.last, 'status 502');
  });

  test('one failure in a few hundred is chance', async () => {
    assert.equal((await probes(600, (index) => index === 300)).state, 'pass');
  });

  test('one that hangs does not pile up requests', async () => {
    let open = 0;
    const prober = { probe: () => (open++, new Promise<never>(() => undefined)) };
    const watch = watchProbe(gate, { holdMs: 600_000 }, { clock: hand(), prober });
    for (let index = 0; index < 50; index++) await watch.look();
    assert.equal(open, 4);
  });
});

describe('an entry of the playbook', () => {
  const complaints = (entry: unknown) => {
    const { error } = gateEntry.safeParse(entry);
    return JSON.stringify(error?.issues ?? []);
  };

  test('holds no credential: not in an address, not as a header, not as metadata', () => {
    assert.match(complaints({ prometheus: 'https://me:pw@prom/', query: 'up', min: 1 }), /has credentials in the URL/);
    assert.match(complaints({ webhook: 'https://hook/?access_token=abc' }), /has a credential in its parameter/);
    assert.match(complaints({ webhook: 'https://hook/', headers: { authorization: 'Bearer x' } }), /headers/);
    assert.match(complaints({ webhook: 'https://hook/', metadata: { apiKey: 'x' } }), /looks like a credential/);
    assert.match(
      complaints({ webhook: 'https://hook/', tokenFrom: 'eyJhbGciOi' }),
      /is not the name of an environment variable/,
    );
  });

  test('says what to judge by', () => {
    assert.match(complaints({ prometheus: 'https://prom/' }), /needs either/);
    assert.match(complaints({ prometheus: 'https://prom/', query: 'up' }), /neither `min` nor `max`/);
    assert.match(
      complaints({ prometheus: 'https://prom/', errors: 'sum(rate(x[1m]))', requests: 'y[$window]' }),
      /\$window/,
    );
    assert.match(complaints({ probe: 'http://x/', failures: '1%', bad: '1%' }), /is not above/);
    assert.match(complaints({ approve: 'some' }), /write a share/);
    assert.equal(complaints({ approve: [20, 100] }), '[]');
    assert.equal(complaints({ capacity: '20%', prescale: true }), '[]');
  });
});
