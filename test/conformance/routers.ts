import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openStage, type Stage } from '../../src/cli/stage.js';
import type { MigrateError } from '../../src/errors.js';
import { takeInventory } from '../../src/look.js';
import type { Playbook } from '../../src/playbook.js';
import type { Call, World } from '../../src/ports.js';
import {
  isReachable,
  measured,
  type AnyRouter,
  type Choice,
  type Reading,
  type Route,
  type Traits,
} from '../../src/router.js';
import { routers } from '../../src/routers/index.js';
import type { StepContext } from '../../src/step.js';
import { seededRandom } from '../../src/twin/random.js';
import type { Seed } from '../../src/twin/types.js';

/**
 * One suite for every router: each claim that a router makes (src/router.ts) is held to what the twin's clients see. At the end it prints a
 * table, router by case.
 */

/** Of random shifts: more by hand, e.g. `MIGRATE_SHIFTS=2000 MIGRATE_SEED=7`. */
export const SHIFTS = Number(process.env['MIGRATE_SHIFTS'] ?? 10);

/** One router in one world, in one of the ways in which its entry can be written. */
export interface Way {
  title: string;
  /** whose first service it is */
  playbook: Playbook;
  /** a new one each time */
  seed: () => Seed;
  /** `namespace/name` of the Deployment and Service */
  service: string;
  /** after the twin has started, e.g. what a restore would have brought */
  prepare?: (stage: Stage) => Promise<unknown>;
  traits: Partial<Traits>;
  shares: readonly number[];
  /** points by which a share may be off; 0.5 when left out */
  tolerance?: number;
  /** a share that it can not reach, with its neighbours */
  beyond?: { asked: number; below: number; above: number; tolerance?: number };
  /** an observer of the authority, where clients see a share late: percent for the target of what is answered now */
  observed?: (stage: Stage) => number;
  /** until clients follow a write */
  bitesMs: number;
  /** points by which clients may differ from the share, beside chance */
  coarse?: number;
  /** another writer's other share */
  meddle: (stage: Stage) => Promise<unknown>;
  /** the source's pods are the share themselves: they come up on the way back */
  raisesPods?: true;
  /** each pod or node has a weight of its own, so that the share changes with them */
  podsAreMembers?: true;
  /** nobody behind it is a pod */
  withoutPods?: true;
}

export interface Held {
  stage: Stage;
  route: Route;
  router: AnyRouter;
  context: StepContext;
  way: Way;
  /** writes of migrate since the last look */
  writes(): number;
  /** that many writes from now on; Infinity for never */
  killAfter(writes: number): void;
}

/** After a write has happened, and before its reply has come. */
export class Killed extends Error {}

export async function open(way: Way, perSecond = 200): Promise<Held> {
  let count = 0;
  let fuse = Infinity;
  const tap = async <T>(it: Call, send: () => Promise<T>): Promise<T> => {
    const done = await send();
    if (!it.writes) return done;
    count++;
    if (--fuse === 0) throw new Killed();
    return done;
  };
  const { playbook } = way;
  const stage = await openStage(playbook, way.seed(), { tap, clientsPerSecond: perSecond });
  await way.prepare?.(stage);
  await stage.twin.settle();
  const router = routers.get(playbook.traffic!.services[0]!.router)!;
  const inventory = await takeInventory(playbook, stage.world, []);
  const [route] = router.routes(playbook.traffic!.services, playbook, inventory);
  count = 0;
  return {
    stage,
    router,
    route,
    way,
    context: contextOf(stage.world),
    killAfter: (writes) => void (fuse = writes),
    writes() {
      const now = count;
      count = 0;
      return now;
    },
  };
}

/** Of a step outside any run. */
export const contextOf = (world: World): StepContext => ({
  world,
  step: { id: 'traffic/held', kind: 'shift', phase: 'traffic', args: {}, after: [] },
  mark: 'held',
  emit: () => undefined,
  progress: () => undefined,
  stopping: () => false,
  approval: async () => undefined,
  keep: () => undefined,
  recorded: () => undefined,
  took: () => undefined,
  resting: (wait) => wait(),
  deletesCopies: false,
  kept: () => undefined,
  goesBack: () => false,
});

export async function join({ router, route, context }: Held): Promise<unknown> {
  const joinBefore = await router.join.check(route, context);
  await router.join.apply(route, joinBefore, context);
  await router.join.verify(route, joinBefore, context);
  return joinBefore;
}

const toleranceOf = ({ way }: Held): number => way.tolerance ?? 0.5;

export async function choose(held: Held, asked: number, tolerance = toleranceOf(held)): Promise<Choice<unknown>> {
  const { router, route, stage } = held;
  const reading: Reading<unknown> = await router.read(route, stage.world);
  const choice = await router.choose(route, { asked, tolerance }, reading, stage.world);
  assert.ok(isReachable<unknown>(choice), `${asked} %: ${JSON.stringify(choice)}`);
  return choice;
}

export async function shift(held: Held, asked: number, tolerance?: number): Promise<Choice<unknown>> {
  const choice = await choose(held, asked, tolerance);
  await held.router.write(held.route, choice, held.context);
  return choice;
}

export const shareOf = async ({ router, route, stage }: Held): Promise<number> =>
  measured((await router.read(route, stage.world)).splits[0]!);

/** Who served in the next while, once clients follow. */
export async function seen({ stage: { twin }, way }: Held, ms: number): Promise<ReturnType<typeof twin.clients.share>> {
  await twin.clock.sleep(way.bitesMs);
  const since = twin.clock.now();
  await twin.clock.sleep(ms);
  return twin.clients.share({ since });
}

const CASES = [
  'traits',
  'zero',
  'range',
  'beyond',
  'idempotence',
  'undo',
  'another writer',
  'dead source',
  'leaving',
  'kills',
  'nothing left',
  'dead target',
  'random shifts',
] as const;

type Row = Map<(typeof CASES)[number], string>;

/** Registers the suite for each way, and the table after the last. */
export function holdRouters(ways: readonly Way[]): void {
  const table = new Map<string, Row>(ways.map((it) => [it.title, new Map()]));
  for (const way of ways) describe(way.title, () => holdOne(way, table.get(way.title)!));
  after(() => print(table));
}

function print(table: ReadonlyMap<string, Row>): void {
  const width = Math.max(...[...table.keys()].map((it) => it.length));
  console.log(`# ${''.padEnd(width)}  ${CASES.join('  ')}`);
  for (const [title, row] of table)
    console.log(`# ${title.padEnd(width)}  ${CASES.map((it) => (row.get(it) ?? '-').padEnd(it.length)).join('  ')}`);
}

function holdOne(way: Way, row: Row): void {
  let held: Held;
  let start: unknown;
  let joinBefore: unknown;
  let joinedAs: unknown;

  before(async () => {
    held = await open(way);
    start = held.stage.twin.snapshot();
  });
  after(() => held.stage.close());
  const holds = (name: (typeof CASES)[number], title: string, body: () => void | Promise<void>): unknown =>
    test(title, async () => {
      const before = row.get(name);
      row.set(name, 'FAILED');
      await body();
      row.set(name, before === 'FAILED' ? 'FAILED' : 'ok');
    });
  holds('traits', 'says what it is', () => {
    const traits = held.router.traits(held.route);
    for (const [key, value] of Object.entries(way.traits)) assert.equal(traits[key as keyof Traits], value, key);
  });
  holds('zero', 'comes in at nothing, and says so', async () => {
    assert.equal(await held.router.joined(held.route, held.stage.world), false);
    joinBefore = await join(held);
    joinedAs = (await held.router.read(held.route, held.stage.world)).setting;
    assert.equal(await held.router.joined(held.route, held.stage.world), true);
    assert.equal(await shareOf(held), 0);
    const { target, failed } = await seen(held, 20_000);
    assert.deepEqual([target, failed], [0, 0]);
  });
  for (const asked of way.shares)
    holds('range', `reaches ${asked} %`, async () => {
      const { reachable } = await shift(held, asked);
      assert.ok(Math.abs(reachable - asked) <= toleranceOf(held), `${reachable}`);
      assert.ok(asked === 0 || reachable > 0);
      const proved = await shareOf(held);
      assert.ok(Math.abs(proved - reachable) < 1e-9, `shows ${proved}, not ${reachable}`);
      if (way.observed) {
        const now = way.observed(held.stage);
        const chance = 4 * Math.sqrt((reachable * (100 - reachable)) / 4000);
        assert.ok(Math.abs(now - reachable) <= chance, `the authority answers ${now} of ${reachable}`);
      }
      const { targetPercent = Number.NaN, failed, sent } = await seen(held, 20_000);
      const chance = 4 * Math.sqrt((reachable * (100 - reachable)) / sent) + (way.coarse ?? 0);
      assert.ok(Math.abs(targetPercent - reachable) <= chance, `clients saw ${targetPercent} of ${reachable}`);
      assert.equal(failed, 0);
    });
  const { beyond } = way;
  if (beyond)
    holds('beyond', `${beyond.asked} % is refused with the nearest`, async () => {
      const { router, route, stage } = held;
      const reading: Reading<unknown> = await router.read(route, stage.world);
      const ask = { asked: beyond.asked, tolerance: beyond.tolerance ?? 0.1 };
      const answer = await router.choose(route, ask, reading, stage.world);
      assert.ok(!isReachable(answer), JSON.stringify(answer));
      assert.deepEqual(
        [answer.below, answer.above].map((it) => it?.toFixed(3)),
        [beyond.below.toFixed(3), beyond.above.toFixed(3)],
      );
    });
  holds('idempotence', 'a second time nothing is written', async () => {
    const choice = await shift(held, 100);
    held.writes();
    await held.router.write(held.route, choice, held.context);
    assert.deepEqual((await choose(held, 100)).order, []);
    await held.router.join.apply(held.route, joinBefore, held.context).catch(ignored);
    await held.router.restore(held.route, choice.setting, held.context);
    assert.equal(held.writes(), 0);
    assert.equal(await shareOf(held), 100);
  });
  holds('undo', 'an earlier setting comes back exactly', async () => {
    const small = way.shares[0] ?? 1;
    await shift(held, small);
    const was = (await held.router.read(held.route, held.stage.world)).setting;
    await held.stage.twin.settle();
    const then = held.stage.twin.snapshot();
    await shift(held, 100);
    assert.deepEqual(await held.router.restore(held.route, was, held.context), []);
    await held.stage.twin.settle();
    assert.deepEqual(held.stage.twin.snapshot(), then);
    assert.deepEqual((await held.router.read(held.route, held.stage.world)).setting, was);
  });
  holds('another writer', "another's share is noticed and mended", async () => {
    const asked = way.shares[0] ?? 1;
    await shift(held, asked);
    await way.meddle(held.stage);
    await held.stage.twin.settle();
    assert.ok(Math.abs((await shareOf(held)) - asked) > 5, 'the reading shows what the other wrote');
    const choice = await choose(held, asked);
    assert.ok(choice.order.length > 0);
    await held.router.write(held.route, choice, held.context);
    assert.ok(Math.abs((await shareOf(held)) - asked) <= toleranceOf(held), `${await shareOf(held)}`);
  });
  if (!way.withoutPods)
    holds('dead source', 'goes back only to a source that can serve', async () => {
      const { twin, world } = held.stage;
      const [namespace = '', name = ''] = way.service.split('/');
      const was = (await held.router.read(held.route, world)).setting;
      await shift(held, 100);
      // Pods that never get ready: the way back must wait for them, or refuse, and take nothing from the target.
      const pods = await twin.source.api.get('apps/v1/deployments', namespace, name);
      const broken = (value: string | null) => ({
        spec: {
          ...(way.raisesPods ? {} : { replicas: value ? 0 : pods!['spec'].replicas }),
          template: { metadata: { annotations: value && { 'twin/never-ready': value } } },
        },
      });
      await twin.source.api.mergePatch('apps/v1/deployments', namespace, name, broken('true'));
      await twin.clock.sleep(10_000);
      await assert.rejects(held.router.restore(held.route, was, held.context), (error: MigrateError) =>
        ['SIDE_CANNOT_SERVE', 'WEIGHT_NOT_TAKEN'].includes(error.code),
      );
      const { source, failed } = await seen(held, 10_000);
      assert.deepEqual([source, failed], [0, 0]);
      await twin.source.api.mergePatch('apps/v1/deployments', namespace, name, broken(null));
      await twin.clock.sleep(20_000);
      await held.router.restore(held.route, was, held.context);
      assert.equal((await seen(held, 5_000)).failed, 0);
    });
  holds('leaving', 'the source goes out and comes back, and nobody notices', async () => {
    const { router, route, context } = held;
    await assert.rejects(
      router.leave.check(route, context),
      (error: MigrateError) => error.code === 'SOURCE_STILL_SERVES',
    );
    const was = (await router.read(route, held.stage.world)).setting;
    await shift(held, 100);
    await held.stage.twin.clock.sleep(way.bitesMs);
    const since = held.stage.twin.clock.now();
    const left = await router.leave.check(route, context);
    await router.leave.apply(route, left, context);
    await router.leave.verify(route, left, context);
    assert.equal(await shareOf(held), 100);
    await held.stage.twin.clock.sleep(20_000);
    await router.leave.undo(route, left, context);
    const { source, failed } = held.stage.twin.clients.share({ since });
    assert.deepEqual([source, failed], [0, 0]);
    await router.restore(route, was, context);
  });
  holds('kills', 'killed after any of its writes, it comes to the same end, forth and back', async () => {
    const low = way.shares[0] ?? 1;
    for (const [from, to] of [
      [0, low],
      [low, 100],
      [100, low],
      [low, 0],
    ] as const)
      await killed(held, from, to);
    assert.equal((await seen(held, 5_000)).failed, 0);
  });
  holds('nothing left', 'goes out again and leaves nothing behind', async () => {
    assert.deepEqual(await held.router.restore(held.route, joinedAs, held.context), []);
    assert.deepEqual(await held.router.join.undo(held.route, joinBefore, held.context), []);
    await held.stage.twin.settle();
    assert.deepEqual(held.stage.twin.snapshot(), start);
    assert.equal(await held.router.joined(held.route, held.stage.world), false);
  });
  holds('dead target', 'a dead target does not keep the source from taking all back', async () => {
    await join(held);
    const was = (await held.router.read(held.route, held.stage.world)).setting;
    await shift(held, way.shares.includes(50) ? 50 : 100);
    held.stage.twin.target.down();
    await held.router.restore(held.route, was, held.context);
    const { target, failed } = await seen(held, 10_000);
    assert.deepEqual([target, failed], [0, 0]);
    held.stage.twin.target.up();
  });
  holds('random shifts', `${SHIFTS} random shifts with rolls and scale-outs between lose nothing`, async () => {
    const seed = Number(process.env['MIGRATE_SEED'] ?? 1);
    const random = seededRandom(`${way.title}/${seed}`);
    const busy = await open(way, 20);
    try {
      await join(busy);
      let compared = 0;
      for (let nth = 0; nth < SHIFTS; nth++)
        if (await disturbed(busy, random, `seed ${seed}, shift ${nth}`)) compared += 1;
      assert.ok(compared >= SHIFTS / 2, `only ${compared} of ${SHIFTS} shares could be compared`);
      const { sent, failed } = busy.stage.twin.clients.counts();
      assert.equal(failed, 0, `seed ${seed}: ${failed} of ${sent} failed`);
      assert.ok(sent > SHIFTS * 10);
      console.log(`# ${way.title}: seed ${seed}, ${SHIFTS} shifts, ${sent} requests, ${failed} failed`);
    } finally {
      await busy.stage.close();
    }
  });
}

const ignored = (): undefined => undefined;

async function killed(held: Held, from: number, to: number): Promise<void> {
  const { router, route, context, stage } = held;
  for (let fuse = 1; ; fuse++) {
    await shift(held, from);
    const was = (await router.read(route, stage.world)).setting;
    const choice = await choose(held, to);
    held.killAfter(fuse);
    const whole = await router.write(route, choice, context).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof Killed)) throw error;
        return false;
      },
    );
    held.killAfter(Infinity);
    const share = await shareOf(held);
    const off = toleranceOf(held);
    assert.ok(share >= Math.min(from, to) - off && share <= Math.max(from, to) + off, `${share} of ${from} to ${to}`);
    if (fuse % 2 === 0) await router.restore(route, was, context);
    else await router.write(route, choice, context);
    const end = fuse % 2 === 0 ? from : to;
    assert.ok(Math.abs((await shareOf(held)) - end) <= off, `${await shareOf(held)}, not ${end}`);
    if (whole) return;
  }
}

/** Which pods serve on each side, by name and readiness. */
async function podsOf({ stage: { twin }, way }: Held): Promise<string> {
  const [namespace = ''] = way.service.split('/');
  const lists = await Promise.all(
    (['source', 'target'] as const).map((side) => twin[side].api.list('v1/pods', namespace)),
  );
  return JSON.stringify(
    lists.map((pods) => pods.map((it) => [it.metadata.name, it.metadata.deletionTimestamp, it['status']?.conditions])),
  );
}

/** The share itself, or a neighbour that the pods of this moment reach. */
async function nearestTo({ router, route, stage, way }: Held, asked: number): Promise<number> {
  if (!way.podsAreMembers) return asked;
  const ask = { asked, tolerance: Math.max(1, way.tolerance ?? 0) };
  const answer = await router.choose(route, ask, await router.read(route, stage.world), stage.world);
  return isReachable(answer) ? asked : (answer.above ?? answer.below ?? 0);
}

/** A shift to anywhere while pods are rolled or scaled. @returns whether its share could be compared: nobody came or went in the middle */
async function disturbed(busy: Held, random: () => number, what: string): Promise<boolean> {
  const { way } = busy;
  const { twin } = busy.stage;
  disturb(busy, random);
  const shares = way.raisesPods || way.beyond ? way.shares : [0, 100, 1 + random() * 10, 1 + random() * 98];
  const drawn = Number(shares[Math.floor(random() * shares.length)]!.toFixed(1));
  const asked = await nearestTo(busy, drawn);
  const was = await shareOf(busy);
  const pods = way.podsAreMembers ? await podsOf(busy) : '';
  const since = twin.clock.now();
  // Other numbers of pods reach other shares.
  const loose = way.raisesPods ? 15 : 12;
  await shift(busy, asked, Math.max(1, way.beyond ? loose : toleranceOf(busy)));
  const now = await shareOf(busy);
  // Where each pod has a weight, those that came or went in the middle change the share; the engine follows them in its hold.
  const still = !way.podsAreMembers || (await podsOf(busy)) === pods;
  assert.ok(
    !still || Math.abs(now - asked) <= (way.beyond ? loose : Math.max(1, toleranceOf(busy))),
    `${what}: ${now}, not ${asked}`,
  );
  if (!way.observed && still) inside(twin.clients.share({ since }), was, now, what);
  await twin.clock.sleep(random() * 3_000 + (way.observed ? way.bitesMs : 0));
  return still;
}

/** What clients saw while it was written lies between before and after, but for chance. */
function inside(
  { targetPercent, sent }: { targetPercent: number | undefined; sent: number },
  was: number,
  now: number,
  what: string,
): void {
  if (targetPercent === undefined || sent < 20) return;
  const [low, high] = [Math.min(was, now), Math.max(was, now)];
  const chance = 5 * Math.sqrt(2500 / sent);
  assert.ok(
    targetPercent >= low - chance && targetPercent <= high + chance,
    `${what}: ${targetPercent} between ${low} and ${high} of ${sent}`,
  );
}

/** A roll of all pods on either side, or another number of them where the number is nobody's share. */
function disturb({ stage: { twin }, way }: Held, random: () => number): void {
  if (way.withoutPods) return;
  const [namespace = '', name = ''] = way.service.split('/');
  const side = random() < 0.5 ? 'source' : 'target';
  const drawn = random();
  const patch =
    drawn < 0.15
      ? { spec: { template: { metadata: { annotations: { roll: `${twin.clock.now()}` } } } } }
      : drawn < 0.3 && !way.raisesPods
        ? { spec: { replicas: 2 + Math.floor(random() * 4) } }
        : undefined;
  if (patch)
    twin.clock.after(
      random() * 5_000,
      async () => void (await twin[side].api.mergePatch('apps/v1/deployments', namespace, name, patch)),
    );
}
