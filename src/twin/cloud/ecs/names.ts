import { refuse } from '../errors.js';

const NAME = /^\p{L}[\p{L}\p{N}:_.-]{1,127}$/u;
const URL = /^https?:\/\//;

/**
 * Names of disks and snapshots.
 *
 * @param subject  as the code of the refusal names it, e.g. `SnapshotName`
 * @source Ecs 2014-05-26, CreateSnapshot: SnapshotName; CreateDisk: DiskName
 */
export function checkName(name: string | undefined, status: number, subject: string): void {
  if (name === undefined || (NAME.test(name) && !URL.test(name))) return;
  refuse(status, `Invalid${subject}.Malformed`, `The specified ${subject} is wrongly formed.`);
}

export function checkDescription(text: string | undefined, status: number): void {
  if (text === undefined || (text.length >= 2 && text.length <= 256 && !URL.test(text))) return;
  refuse(status, 'InvalidDescription.Malformed', 'The specified description is wrongly formed.');
}
