import { existsSync } from 'node:fs';
import { parse } from 'yaml';
import { MigrateError } from '../errors.js';
import type { Inventory } from '../inventory.js';
import type { Playbook } from '../playbook.js';
import type { Seed } from '../twin/types.js';
import { readText } from './playbooks.js';
import { seedOf } from './seeds.js';

/** The file beside a playbook that says what its two clusters and the cloud look like before the first step. */
export const worldBeside = (playbook: string) => playbook.replace(/(\.ya?ml)?$/, '.world.yaml');

/** @throws MigrateError INVENTORY_INVALID */
export function readInventory(file: string): Inventory {
  const bad = (why: string) =>
    new MigrateError('INVENTORY_INVALID', {
      what: `${file} is not an inventory.`,
      why,
      fix: 'Capture one with `migrate inventory -o inventory.json`.',
    });
  let inventory: Partial<Inventory> | null;
  try {
    inventory = JSON.parse(readText(file, 'INVENTORY_INVALID', 'The inventory')) as Partial<Inventory> | null;
  } catch (error) {
    if (error instanceof MigrateError) throw error;
    throw bad('It is not JSON.');
  }
  if (inventory === null || typeof inventory !== 'object' || inventory.schemaVersion !== 1)
    throw bad('It has no schemaVersion 1.');
  for (const side of ['source', 'target'] as const) {
    if (typeof inventory[side]?.uid !== 'string' || typeof inventory[side].objects !== 'object')
      throw bad(`It says nothing of the ${side}.`);
  }
  return inventory as Inventory;
}

/** @throws MigrateError WORLD_INVALID */
export function readWorld(file: string): Seed {
  const bad = (why: string) =>
    new MigrateError('WORLD_INVALID', {
      what: `${file} is not a world to rehearse in.`,
      why,
      fix: 'playbooks/shop.world.yaml is a complete one; a captured inventory serves too: --inventory FILE.',
    });
  const text = readText(file, 'WORLD_INVALID', 'The world');
  let seed: Partial<Seed> | null;
  try {
    seed = parse(text, { maxAliasCount: 10_000, merge: true }) as Partial<Seed> | null;
  } catch (error) {
    throw bad((error as Error).message.split('\n')[0] ?? 'It is not YAML.');
  }
  if (seed === null || typeof seed !== 'object') throw bad('It is empty.');
  for (const side of ['source', 'target'] as const) {
    if (typeof seed[side]?.version !== 'string') throw bad(`\`${side}.version\` is missing.`);
    if (typeof seed[side].objects !== 'object') throw bad(`\`${side}.objects\` is missing.`);
  }
  if (typeof seed.cloud?.region !== 'string') throw bad('`cloud.region` is missing.');
  return { ...seed, cloud: { ...seed.cloud, loadBalancers: seed.cloud.loadBalancers ?? [] } } as Seed;
}

/** @throws MigrateError WORLD_MISSING */
export function worldFor(file: string, playbook: Playbook, inventory: string | undefined): Seed {
  if (inventory !== undefined) return seedOf(playbook, readInventory(inventory));
  const world = worldBeside(file);
  if (existsSync(world)) return readWorld(world);
  throw new MigrateError('WORLD_MISSING', {
    what: `There is no world to rehearse ${file} in.`,
    why: `Looked for ${world}.`,
    fix: 'Capture the two clusters once: `migrate inventory -o inventory.json`, then `migrate rehearse --inventory inventory.json`.',
  });
}
