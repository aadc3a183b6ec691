import type { Check } from './check.js';
import { foldFor, SIZES, type Fold, type Readers } from './fold.js';
import type { Inventory } from './inventory.js';
import { takeInventory } from './look.js';
import { planTakes } from './plan.js';
import type { Playbook } from './playbook.js';
import type { World } from './ports.js';
import { listenTo, type Heard } from './preflight.js';

export interface Survey {
  /** all that the plan and the checks need from now on; of kinds with many objects no more than that */
  inventory: Inventory;
  /** what checks said of objects while they came by */
  heard: Heard;
}

export const foldOf = (
  playbook: Playbook,
  checks: readonly Check[],
  sizes = SIZES,
  takes: Readers = planTakes(playbook),
): Fold => foldFor(playbook, checks, takes, sizes);

/**
 * A look for plan and checks, in bounded memory. What it gives is not what `migrate inventory` captures: that is whole.
 *
 * @param planTakes  what the plan, or what is asked of it, is made from
 */
export async function survey(
  playbook: Playbook,
  world: World,
  checks: readonly Check[],
  takes: Readers = planTakes(playbook),
): Promise<Survey> {
  const fold = foldOf(playbook, checks, SIZES, takes);
  let heard: Heard | undefined;
  const inventory = await takeInventory(playbook, world, checks, {
    fold,
    judge(seen) {
      const listening = listenTo(
        checks,
        { playbook, inventory: seen, today: seen.takenAt.slice(0, 10), needs: { source: [], target: [] } },
        fold,
      );
      heard = listening.heard;
      return listening.judge;
    },
  });
  if (!heard) throw new Error('a look that folds has a judge');
  return { inventory, heard };
}
