import type { DiskContent } from '../../types.js';
import { refuse } from '../errors.js';
import type { Context } from '../product.js';
import type { CloudState, Disk } from '../state.js';

const SECOND_MS = 1000;

export const EMPTY: DiskContent = { writes: 0, data: [] };

/** The writes without data are not done one by one but counted when somebody looks. */
export function contentNow(
  { content, inUseSinceMs }: Disk,
  { clock, rates }: Pick<Context, 'clock' | 'rates'>,
): DiskContent {
  if (inUseSinceMs === undefined) return content;
  const since = Math.floor(((clock.now() - inUseSinceMs) / SECOND_MS) * rates.diskWritesPerSecond);
  return { ...content, writes: content.writes + since };
}

/** Somebody has it attached from now on, and writes. */
export function beginUse(disk: Disk, { clock }: Pick<Context, 'clock'>): void {
  disk.inUseSinceMs = clock.now();
}

export function endUse(disk: Disk, context: Pick<Context, 'clock' | 'rates'>): void {
  disk.content = contentNow(disk, context);
  disk.inUseSinceMs = undefined;
}

export function writeTo(id: string, data: string, state: CloudState): void {
  const disk = state.disks.get(id) ?? refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
  if (disk.status !== 'In_use') refuse(403, 'IncorrectDiskStatus', 'Nobody has the disk attached.');
  disk.content = { writes: disk.content.writes + 1, data: [...disk.content.data, data] };
}

export function contentOf(id: string, context: Context): DiskContent | undefined {
  const disk = context.state.disks.get(id);
  return disk ? contentNow(disk, context) : context.state.snapshots.get(id)?.content;
}
