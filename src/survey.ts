import { setFlagsFromString } from 'node:v8';
import type { Check } from './check.js';
import { foldFor, SIZES, type Fold } from './fold.js';
import type { Inventory } from './inventory.js';
import { takeInventory } from './look.js';
import { PLAN_TAKES } from './plan.js';
import type { Playbook } from './playbook.js';
import type { World } from './ports.js';
import { listenTo, type Heard } from './preflight.js';

export interface Survey {
  /** all that the plan and the checks need from now on; of kinds with many objects no more than that */
  inventory: Inventory;
  /** what checks said of objects while they came by */
  heard: Heard;
}

export const foldOf = (playbook: Playbook, checks: readonly Check[], sizes = SIZES): Fold => foldFor(playbook, checks, PLAN_TAKES, sizes);

/** A look for plan and checks, in bounded memory. What it gives is not what `migrate inventory` captures: that is whole. */
export async function survey(playbook: Playbook, world: World, checks: readonly Check[], sizes = SIZES): Promise<Survey> {
  return tight(() => look(playbook, world, checks, foldOf(playbook, checks, sizes)));
}

async function look(playbook: Playbook, world: World, checks: readonly Check[], fold: Fold): Promise<Survey> {
  let heard: Heard | undefined;
  const inventory = await takeInventory(playbook, world, checks, {
    fold,
    judge(seen) {
      const listening = listenTo(checks, { playbook, inventory: seen, today: seen.takenAt.slice(0, 10), needs: { source: [], target: [] } }, fold);
      heard = listening.heard;
      return listening.judge;
    },
  });
  if (!heard) throw new Error('a look that folds has a judge');
  return { inventory, heard };
}

/**
 * V8 lets its heap double before it looks for what can go. Here nearly all can go, all the time; so it looks sooner, which costs little
 * and saves a third of the memory.
 *
 * @source v8/v8:src/heap/heap-controller.cc (--heap-growing-percent; 0 is its own choice)
 */
async function tight<T>(act: () => Promise<T>): Promise<T> {
  setFlagsFromString('--heap-growing-percent=30');
  try {
    return await act();
  } finally {
    setFlagsFromString('--heap-growing-percent=0');
  }
}
