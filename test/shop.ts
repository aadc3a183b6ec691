import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Engine } from '../src/engine.js';
import type { EventBody } from '../src/events.js';
import { memoryStore, openJournal, type JournalStore } from '../src/journal.js';
import type { Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { stepKinds } from '../src/steps/index.js';
import { look } from '../src/cli/looking.js';
import { openStage, type Stage, type StageOptions } from '../src/cli/stage.js';
import type { Seed } from '../src/twin/types.js';

export { crashing, every, mustBeDone } from './crashing.js';

/** The shipped playbooks and worlds, as the tests use them. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

export function shipped(name: string): { playbook: Playbook; seed: Seed } {
  const file = path.join(ROOT, 'playbooks', `${name}.yaml`);
  return {
    playbook: parsePlaybook(readFileSync(file, 'utf8'), file),
    seed: seedIn(file.replace(/\.yaml$/, '.world.yaml')),
  };
}

const seeds = new Map<string, Seed>();

/** Hundreds of worlds begin with the same file: it is parsed once, and each has a copy of its own. */
function seedIn(file: string): Seed {
  const seed = seeds.get(file) ?? (parse(readFileSync(file, 'utf8'), { maxAliasCount: -1 }) as Seed);
  seeds.set(file, seed);
  return structuredClone(seed);
}

/**
 * The shop with short holds and without the probe: the same steps and the same writes as the shipped playbook, in a tenth of the reads.
 * Whole migrations run by the hundred here.
 */
export function quickShop(hold = '3s'): { playbook: Playbook; seed: Seed } {
  return {
    playbook: parsePlaybook(quickShopText(hold), 'shop.yaml'),
    seed: seedIn(path.join(ROOT, 'playbooks/shop.world.yaml')),
  };
}

export function quickShopText(hold = '3s'): string {
  const text = readFileSync(path.join(ROOT, 'playbooks/shop.yaml'), 'utf8');
  const quick = text.replace(/^ {2}hold: .*$/m, `  hold: ${hold}`).replace(/^ {2}gates:\n(?: {4}.*\n)+/m, '');
  if (!quick.includes(`hold: ${hold}`) || quick.includes('gates:'))
    throw new Error('the shop playbook is not written as this expects');
  return quick;
}

export interface Rehearsal {
  stage: Stage;
  plan: Plan;
  engine: Engine;
  start: unknown;
}

/** A stage with its plan made, at the moment before the first step. */
export async function stageFor(
  { playbook, seed }: { playbook: Playbook; seed: Seed },
  options: StageOptions & { store?: JournalStore; emit?: (event: EventBody) => void; plan?: Plan } = {},
): Promise<Rehearsal> {
  const { store = memoryStore(), emit = () => undefined, plan: given, ...rest } = options;
  const stage = await openStage(playbook, seed, rest);
  const start = stage.twin.snapshot();
  const plan = given ?? (await planOn(stage, playbook));
  return { stage, plan, start, engine: engineOn(stage, store, emit) };
}

export async function planOn(stage: Stage, playbook: Playbook): Promise<Plan> {
  const looked = await look(playbook, stage.world);
  if (looked.planError) throw looked.planError;
  if (!looked.plan || !looked.report.ready)
    throw new Error(
      `not ready: ${JSON.stringify(looked.report.results.filter((it) => it.outcome === 'refuse' || it.outcome === 'unknown'))}`,
    );
  return looked.plan;
}

export const engineOn = (
  stage: Stage,
  store: JournalStore,
  emit: (event: EventBody) => void = () => undefined,
): Engine => ({
  world: stage.world,
  journal: openJournal(store, () => stage.world.clock.now()),
  kinds: stepKinds,
  emit,
  stopping: () => false,
  limit: 8,
  // What goes back leaves nothing behind here, so that worlds can be compared.
  deletesCopies: true,
  approve: (question) => Promise.resolve(question.includes('point of no return') ? 'the test' : undefined),
});

/**
 * A world without what a second life draws anew: addresses, node ports, what tells one beginning of a step from another, and the ids of disks
 * and snapshots that we made, which go by their names, also in the order of lists.
 */
export function undrawn(world: unknown): unknown {
  interface Copies {
    cloud: Record<'disks' | 'snapshots', { id: string; name: string }[]>;
  }
  const { disks, snapshots } = (world as Copies).cloud;
  const made = [...disks, ...snapshots].filter((it) => it.name.startsWith('migrate-'));
  const text = made
    .reduce((it, { id, name }) => it.replaceAll(`"${id}"`, `"${name}"`), JSON.stringify(world))
    .replaceAll(/("[0-9a-f]{8}\/d-[^"]*)\/[0-9a-f]{8}(?:\/\d+)?"/g, '$1"')
    .replaceAll(/"(clusterIPs?|nodePort)":(?:\d+|"[^"]*"|\[[^\]]*\])/g, '"$1":"drawn"');
  const plain = JSON.parse(text) as Copies;
  for (const list of [plain.cloud.disks, plain.cloud.snapshots]) list.sort((a, b) => (a.id < b.id ? -1 : 1));
  return plain;
}
