import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { look } from '../../src/cli/looking.js';
import { openWorld } from '../../src/cli/world.js';
import type { Engine } from '../../src/engine.js';
import type { EventBody } from '../../src/events.js';
import { type JournalStore, memoryStore, openJournal } from '../../src/journal.js';
import type { Plan } from '../../src/plan.js';
import { type Playbook, parsePlaybook } from '../../src/playbook.js';
import type { Side, Tap, World } from '../../src/ports.js';
import { stepKinds } from '../../src/steps/index.js';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane, writeKubeconfig } from './control-plane.js';
import { type Store, startStore, startVeleroServer, type VeleroServer } from './velero.js';

/** Two control planes with a Velero each and one store: everything that a move of applications needs. */
export interface Move extends Record<Side, ControlPlane> {
  store: Store;
  velero: Record<Side, VeleroServer>;
  kubeconfig: string;
  env: Record<string, string>;
  world(playbook: Playbook, tap?: Tap): Promise<World>;
  engine(world: World, options?: { store?: JournalStore; emit?: (event: EventBody) => void }): Engine;
  stop(): Promise<void>;
}

const VERSIONS = { source: '1.20.15', target: '1.36.3' } as const;
/** The S3 server of the tests takes any. */
const KEYS = { AWS_ACCESS_KEY_ID: 'velero', AWS_SECRET_ACCESS_KEY: 'of-a-test' };

export async function startMove(options: Partial<Record<Side, Partial<ControlPlaneOptions>>> = {}): Promise<Move> {
  const dir = mkdtempSync(join(tmpdir(), 'migrate-move-'));
  const stops: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const open = async (side: Side): Promise<ControlPlane> => {
      const plane = await startControlPlane({ version: VERSIONS[side], ...options[side] });
      stops.push(() => plane.stop());
      return plane;
    };
    const [store, source, target] = await Promise.all([startStore(), open('source'), open('target')]);
    stops.push(() => store.stop());
    const serve = async (plane: ControlPlane): Promise<VeleroServer> => {
      const server = await startVeleroServer(plane, store);
      stops.push(() => server.stop());
      return server;
    };
    const [first, second] = await Promise.all([serve(source), serve(target)]);
    const kubeconfig = join(dir, 'kubeconfig');
    writeKubeconfig(kubeconfig, [
      { name: 'old', plane: source },
      { name: 'new', plane: target },
    ]);
    Object.assign(process.env, KEYS);
    return {
      source,
      target,
      store,
      velero: { source: first, target: second },
      kubeconfig,
      env: { KUBECONFIG: kubeconfig, ...KEYS },
      world: (playbook, tap) => openWorld(playbook, { kubeconfig, patienceMs: 20_000, ...(tap && { tap }) }),
      engine: (world, { store: journal = memoryStore(), emit = () => undefined } = {}) => ({
        world,
        journal: openJournal(journal, () => world.clock.now()),
        kinds: stepKinds,
        emit,
        stopping: () => false,
        limit: 8,
      }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const playbookWith = (data: string, name = 'move'): Playbook =>
  parsePlaybook(
    `apiVersion: migrate/v1alpha1\nkind: Playbook\nname: ${name}\nsource: { context: old }\ntarget: { context: new }\ndata: ${data}\n`,
    'move.yaml',
  );

/** What the two clusters come to, whatever the checks say: these are no clusters for traffic. */
export async function planFor(playbook: Playbook, world: World): Promise<Plan> {
  const { plan, planError } = await look(playbook, world);
  if (planError) throw planError;
  if (!plan) throw new Error('a look without error has a plan');
  return plan;
}
