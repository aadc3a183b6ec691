import type { Database } from '../src/databases.js';
import { databaseSteps, databaseEntry } from '../src/databases.js';
import { openDatabases } from '../src/db/index.js';
import { plainTap, wallClock } from '../src/cli/world.js';
import type { Engine } from '../src/engine.js';
import { ownPrograms } from '../src/program.js';
import { openJournal, type JournalStore } from '../src/journal.js';
import type { Plan } from '../src/plan.js';
import type { Cluster, Programs, Tap, World } from '../src/ports.js';
import type { Databases } from '../src/standing.js';
import type { EventBody } from '../src/events.js';
import { etcdJoin, etcdMove } from '../src/steps/databases/etcd.js';
import { databaseRepoint } from '../src/steps/databases/repoint.js';
import { databaseReplica, databaseRetire, databaseSwitch } from '../src/steps/databases/paired.js';
import type { AnyStepKind } from '../src/step.js';

/** The steps of databases alone, by the engine that runs whole plans. */

export const entry = (text: unknown): Database => databaseEntry.parse(text);

const KINDS: readonly AnyStepKind[] = [
  databaseReplica,
  databaseSwitch,
  databaseRetire,
  databaseRepoint,
  etcdJoin,
  etcdMove,
];
const stepKinds = new Map(KINDS.map((it) => [it.kind, it]));

/** As many steps as the databases have; nothing else of a plan is read by the engine. */
export function planFor(databases: readonly Database[]): Plan {
  const { steps } = databaseSteps(databases, []);
  return {
    schemaVersion: 1,
    name: 'databases',
    digest: 'd4t4b4se0000',
    steps,
    shares: [],
    notes: [],
  } as unknown as Plan;
}

export interface DatabaseStage {
  engine: Engine;
  /** what a killed process would lose: its connections */
  dropConnections(): Promise<void>;
}

export function stageOn(
  store: JournalStore,
  {
    tap = plainTap,
    env = {},
    emit = () => undefined,
    clusters = {},
    programs = ownPrograms,
  }: {
    tap?: Tap;
    env?: NodeJS.ProcessEnv;
    emit?: (event: EventBody) => void;
    clusters?: Partial<Record<'source' | 'target', Cluster>>;
    programs?: Programs;
  } = {},
): DatabaseStage {
  const opened: { close(): Promise<void> }[] = [];
  const missing = new Proxy(
    {},
    {
      get: (_, name) => () => {
        throw new Error(`these steps ask no cluster: ${String(name)}`);
      },
    },
  );
  const sides = { source: clusters.source ?? (missing as Cluster), target: clusters.target ?? (missing as Cluster) };
  const real = openDatabases({ clusters: sides, env, clock: wallClock, tap, programs });
  const kept = async <T extends { close(): Promise<void> }>(it: Promise<T>) => {
    const one = await it;
    opened.push(one);
    return one;
  };
  const databases: Databases = { pair: (it) => kept(real.pair(it)), etcd: (it) => kept(real.etcd(it)) };
  const world = { ...sides, databases, programs, clock: wallClock } as unknown as World;
  return {
    engine: {
      world,
      journal: openJournal(store, () => wallClock.now()),
      kinds: stepKinds,
      emit,
      stopping: () => false,
      limit: 4,
    },
    async dropConnections() {
      await Promise.all(opened.map((it) => it.close()));
    },
  };
}
