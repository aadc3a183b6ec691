import path from 'node:path';
import type { DataCheckArgs } from '../args.js';
import type { StepKind } from '../step.js';

/** The operator's own program looks at what came over, on workloads that have just started; it ends with 0 when all is there. */
const PROGRAM_MS = 30 * 60_000;

export const dataCheck: StepKind<DataCheckArgs, Record<string, never>> = {
  kind: 'data-check',
  title: ({ claim, run: [program = ''] }) => `${claim}: ${path.basename(program)} looks at the data on the target`,
  wayBack: () => 'nothing to undo',
  rights: () => ({}),

  async check() {
    return {};
  },

  async apply({ claim, volume, run }, _before, { world }) {
    await world.programs.run(run, { verb: 'check', claim, volume }, PROGRAM_MS);
  },

  async verify() {
    // The program's word is the proof.
  },

  async undo() {
    return [];
  },
};
