import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as realSleep } from 'node:timers/promises';
import { realClock, virtualClock } from '../src/twin/clock.js';

const START = '2026-01-01T00:00:00Z';

test('timers run by time, and equal times in the order of asking', async () => {
  const clock = virtualClock(START);
  const ran: string[] = [];
  clock.after(20, () => void ran.push('b'));
  clock.after(10, () => void ran.push('a'));
  clock.after(20, () => void ran.push('c'));
  clock.after(30, () => void ran.push('late'));
  await clock.sleep(25);
  assert.deepEqual(ran, ['a', 'b', 'c']);
  assert.equal(clock.now() - Date.parse(START), 25);
});

test('the run of a timer ends before the next one starts', async () => {
  const clock = virtualClock(START);
  const ran: string[] = [];
  clock.after(1, async () => {
    ran.push('first begins');
    await realSleep(5);
    ran.push('first ends');
  });
  clock.after(2, () => void ran.push('second'));
  await clock.sleep(3);
  assert.deepEqual(ran, ['first begins', 'first ends', 'second']);
});

test('no time passes while nobody waits', async () => {
  const clock = virtualClock(START);
  let ran = false;
  clock.after(1, () => void (ran = true));
  await realSleep(10);
  assert.equal(ran, false);
  assert.equal(clock.now(), Date.parse(START));
});

test('a held clock stands still although somebody sleeps', async () => {
  const clock = virtualClock(START);
  const letGo = clock.hold();
  let awake = false;
  const sleeping = clock.sleep(1000).then(() => (awake = true));
  await realSleep(10);
  assert.equal(awake, false);
  letGo();
  letGo();
  await sleeping;
  assert.equal(clock.now() - Date.parse(START), 1000);
});

test('a parked request lets time pass although its client holds the clock', async () => {
  const clock = virtualClock(START);
  const letGo = clock.hold();
  await clock.park(5000);
  assert.equal(clock.now() - Date.parse(START), 5000);
  let awake = false;
  void clock.sleep(1).then(() => (awake = true));
  await realSleep(5);
  assert.equal(awake, false);
  letGo();
});

test('a cancelled timer does not run', async () => {
  const clock = virtualClock(START);
  const timer = clock.after(1, () => assert.fail('it ran'));
  timer.cancel();
  timer.cancel();
  assert.equal(await clock.idle(), true);
  assert.equal(clock.now(), Date.parse(START));
});

test('idle waits for chains of timers but not for background ones', async () => {
  const clock = virtualClock(START);
  const ran: string[] = [];
  const tick = (): void => {
    ran.push('tick');
    clock.background.after(1000, tick);
  };
  clock.background.after(1000, tick);
  clock.after(1500, () => {
    clock.after(1000, () => void ran.push('end of chain'));
  });
  assert.equal(await clock.idle(), true);
  assert.deepEqual(ran, ['tick', 'tick', 'end of chain']);
  assert.equal(clock.now() - Date.parse(START), 2500);
});

test('idle gives up after its limit when timers never end', async () => {
  const clock = virtualClock(START);
  const again = (): void => void clock.after(1000, again);
  again();
  assert.equal(await clock.idle(10_000), false);
});

test('a failing run fails whoever waits', async () => {
  const clock = virtualClock(START);
  clock.after(5, () => Promise.reject(new Error('a bug')));
  await assert.rejects(clock.sleep(10), /a bug/);
  await assert.rejects(clock.sleep(10), /a bug/);
});

test('a sleeper that goes on within the same moment is not overtaken by later timers', async () => {
  const clock = virtualClock(START);
  const ran: string[] = [];
  clock.after(101, () => void ran.push('timer'));
  const client = (async () => {
    await clock.sleep(100);
    for (let i = 0; i < 3; i++) {
      const letGo = clock.hold();
      await new Promise((resolve) => setImmediate(resolve));
      await realSleep(2);
      ran.push(`request ${i}`);
      letGo();
    }
    await clock.sleep(10);
  })();
  await client;
  assert.deepEqual(ran, ['request 0', 'request 1', 'request 2', 'timer']);
});

test('a virtual hour of ten timers a second runs every one of them', async () => {
  const clock = virtualClock(START);
  let ticks = 0;
  const tick = (): void => {
    ticks += 1;
    clock.background.after(100, tick);
  };
  tick();
  await clock.sleep(3_600_000);
  assert.equal(ticks, 36_000);
});

test('the real clock runs its timers and drops them when stopped', async () => {
  const clock = realClock();
  let ran = 0;
  clock.after(5, () => void (ran += 1));
  const dropped = clock.after(60_000, () => void (ran += 1));
  await clock.sleep(15);
  assert.equal(ran, 1);
  dropped.cancel();
  assert.equal(await clock.idle(1000), true);
  clock.after(60_000, () => assert.fail('it ran'));
  clock.stop();
});
