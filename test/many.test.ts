import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schedule } from '../src/engine.js';
import { paceOf, slbCalls } from '../src/alibaba/pace.js';
import { notingWrites, sharingReads } from '../src/alibaba/sharing.js';
import type { Backend, Call, Clock, Cloud } from '../src/ports.js';
import { moveMany, serviceOf, type Moved } from './many.js';

/** Many Services in one plan: the fewest writes, shared reads, and nobody waits for ever. */

const SERVICES = 12;
const MANY = { services: SERVICES, loadBalancers: 3, pods: 1, traffic: 'steps: [50, 100]\n  hold: 10s' };

const writesOf = ({ calls }: Moved, index: number): string[] =>
  calls.filter((it) => it.writes && it.what.includes(serviceOf(index).slice(5))).map((it) => `${it.to} ${it.verb}`);

test('of many Services each is written once a step and side, and none waits for the holds of others', async () => {
  // Two at a time, so that there is a line to stand in.
  const moved = await moveMany({ ...MANY, entry: 'weights: service' }, 2);
  for (let index = 0; index < SERVICES; index++)
    // To come in, to 50 % and to 100 %: what a side already says is not said again.
    assert.deepEqual(writesOf(moved, index), ['target PATCH', 'target PATCH', 'source PATCH'], serviceOf(index));
  assert.equal(moved.calls.filter((it) => it.to === 'cloud' && it.writes).length, 0);
  assert.ok(moved.tookMs < 60_000, `${moved.tookMs} ms for two holds of ten seconds`);
  const longest = Math.max(...moved.waits.values());
  assert.ok(longest < 30_000, `a service waited ${longest} ms`);
  assert.equal(moved.waits.size, SERVICES);
});

test('the limits that the cloud sets to calls are kept, and what is throttled all the same is sent again', async () => {
  const strict = { SetVServerGroupAttribute: 5, DescribeVServerGroupAttribute: 3000 };
  const easy = await moveMany({ ...MANY, entry: 'weights: member' });
  const hard = await moveMany({ ...MANY, entry: 'weights: member', callsPerMinute: strict });
  assert.equal(easy.calls.filter((it) => it.throttled).length, 0);
  assert.ok(hard.calls.some((it) => it.throttled));
  const through = ({ calls }: Moved) => calls.filter((it) => it.verb === 'SetVServerGroupAttribute' && !it.throttled);
  assert.equal(through(hard).length, through(easy).length, 'no write is lost, none is done twice');
  assert.equal(through(easy).length, 2 * SERVICES, 'one for each Service to 50 % and one to 100 %');
});

/** Time that passes when somebody sleeps. */
function steppedClock(): Clock & { run(): Promise<void> } {
  let now = 0;
  const sleepers: { at: number; wake: () => void }[] = [];
  return {
    now: () => now,
    sleep: (ms) => new Promise((wake) => sleepers.push({ at: now + ms, wake })),
    async run() {
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        const [next] = sleepers.sort((a, b) => a.at - b.at);
        if (!next) return;
        sleepers.shift();
        now = next.at;
        next.wake();
      }
    },
  };
}

test('calls go out in the order in which they were asked for, in no minute more than the cloud takes', async () => {
  const clock = steppedClock();
  const pace = paceOf(clock, slbCalls);
  const went: { index: number; at: number }[] = [];
  const all = Array.from({ length: 300 }, (_, index) =>
    pace.turn('SetVServerGroupAttribute').then(() => went.push({ index, at: clock.now() })),
  );
  // Reads have a count of their own, and don't stand in that line.
  await pace.turn('DescribeVServerGroupAttribute');
  assert.equal(clock.now(), 0);
  await clock.run();
  await Promise.all(all);
  assert.deepEqual(
    went.map((it) => it.index),
    went.map((_, index) => index),
  );
  for (const { at } of went) {
    const within = went.filter((it) => it.at >= at && it.at < at + 60_000).length;
    assert.ok(within <= 90, `${within} in the minute from ${at}`);
  }
  const last = went.at(-1)?.at ?? NaN;
  assert.ok(last > 4 * 60_000 && last < 6 * 60_000, `the last after ${last} ms`);
});

test('a read under way is shared, but never with somebody who asks after a write', async () => {
  const pending: ((found: Backend[]) => void)[] = [];
  const cloud = {
    clb: {},
    backends: () => new Promise<Backend[]>((resolve) => pending.push(resolve)),
  } as unknown as Cloud;
  const { tap, changes } = notingWrites((_call, send) => send());
  const shared = sharingReads(cloud, changes);
  const call = (writes: boolean): Call => ({ to: 'source', verb: '', what: '', writes });

  const first = shared.backends('rsp-1');
  const same = shared.backends('rsp-1');
  const other = shared.backends('rsp-2');
  assert.equal(pending.length, 2, 'one for each group');
  await tap(call(false), async () => undefined);
  void shared.backends('rsp-1');
  assert.equal(pending.length, 2, 'a read elsewhere changes nothing');
  await tap(call(true), async () => undefined);
  const proof = shared.backends('rsp-1');
  assert.equal(pending.length, 3, 'what was sent before the write is not asked for proof');
  await assert.rejects(tap(call(true), () => Promise.reject(new Error('cut'))));
  void shared.backends('rsp-1');
  assert.equal(pending.length, 4, 'a write that failed may have been done');

  const member = (weight: number): Backend[] => [{ server: 'i-1', port: 80, weight, type: 'ecs', description: '' }];
  for (const [index, settle] of pending.entries()) settle(member(index));
  assert.deepEqual([await first, await same, await other, await proof], [member(0), member(0), member(1), member(2)]);
  void shared.backends('rsp-1');
  assert.equal(pending.length, 5, 'an answer that has come is not kept');
});

test('who was ready first acts first, and who only watches keeps nobody from acting', async () => {
  const began: string[] = [];
  const after: Record<string, string[]> = { a1: [], b1: [], c1: [], a2: ['a1'], b2: ['b1'], c2: ['c1'] };
  const done = new Set<string>();
  const ends: (() => void)[] = [];
  const outcome = schedule(['a1', 'a2', 'b1', 'b2', 'c1', 'c2'], {
    limit: 1,
    ready: (it) => (after[it] ?? []).every((other) => done.has(other)),
    stopping: () => false,
    id: (it) => it,
    async start(it, place) {
      began.push(it);
      if (it === 'a1') {
        place.rest();
        await new Promise<void>((resolve) => ends.push(resolve));
      }
      done.add(it);
    },
  });
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(began, ['a1', 'b1', 'c1', 'b2', 'c2'], 'while a1 is watched');
  for (const end of ends) end();
  assert.deepEqual(await outcome, { outcome: 'done' });
  assert.deepEqual(began, ['a1', 'b1', 'c1', 'b2', 'c2', 'a2']);
});

test('who waits for long lets others act, and acts again before those that have not begun', async () => {
  const began: string[] = [];
  let arrived = () => {};
  const long = new Promise<void>((resolve) => (arrived = resolve));
  const outcome = schedule(['a', 'b', 'c', 'd'], {
    limit: 1,
    ready: () => true,
    stopping: () => false,
    id: (it) => it,
    async start(it, place) {
      began.push(it);
      if (it === 'a') await place.resting(() => long);
      if (it === 'b') arrived();
      await new Promise((resolve) => setImmediate(resolve));
      began.push(`${it} ends`);
    },
  });
  assert.deepEqual(await outcome, { outcome: 'done' });
  assert.deepEqual(began, ['a', 'b', 'b ends', 'a ends', 'c', 'c ends', 'd', 'd ends']);
});

test('who only waits does not go on waiting when another has failed', async () => {
  const failure = new Error('b');
  const ended: string[] = [];
  const outcome = await schedule(['a', 'b', 'c'], {
    limit: 1,
    ready: () => true,
    stopping: () => false,
    id: (it) => it,
    async start(it, place) {
      if (it === 'b') throw failure;
      await place.resting(async () => {
        while (!place.stopping()) await new Promise((resolve) => setImmediate(resolve));
      });
      // With its place again it ends what it does.
      ended.push(`${it} ${place.stopping()}`);
    },
  });
  assert.deepEqual(outcome, { outcome: 'stopped', error: failure, step: 'b' });
  assert.deepEqual(ended, ['a false']);
});
