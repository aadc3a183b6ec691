import type { EndedEvent } from '../events.js';
import { seededFaults, type FaultKind } from '../twin/faults.js';
import { readPlaybook } from './playbooks.js';
import type { Io } from './program.js';
import { rehearse } from './rehearse.js';
import { worldFor } from './worlds.js';

export interface RehearsalFlags {
  file: string;
  inventory?: string;
  back?: boolean;
  fault?: (FaultKind | 'all')[];
  seed: number;
}

/** `migrate rehearse`: the playbook, its world, and the faults that the seed draws. */
export async function rehearsal(
  { file, inventory, back = false, fault, seed: seedNumber }: RehearsalFlags,
  io: Io,
): Promise<EndedEvent> {
  const playbook = await readPlaybook(file);
  io.emit({ type: 'playbook', name: playbook.name, file });
  const seed = worldFor(file, playbook, inventory);
  const ended = await rehearse(
    { playbook, seed, back, seedNumber, ...(fault && { faults: faultsOf(fault, seedNumber) }) },
    io,
  );
  // A run that failed by chance can be played again.
  return { ...ended, seed: seedNumber };
}

function faultsOf(fault: (FaultKind | 'all')[], seedNumber: number) {
  if (fault.includes('all')) return seededFaults(seedNumber);
  const kinds = Object.fromEntries(
    (['refuse', 'cut', 'lose', 'slow'] as const).map((it) => [it, fault.includes(it) ? 1 : 0]),
  );
  return seededFaults(seedNumber, { kinds });
}
