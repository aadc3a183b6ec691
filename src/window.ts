import { z } from 'zod';

/** The times of a day between which writes may pause. */

const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d$/;
const DAY_MS = 86_400_000;

export const windowEntry = z.strictObject({
  from: z.string().regex(TIME, 'is not a time: write 02:00'),
  to: z.string().regex(TIME, 'is not a time: write 04:00'),
  /** of the two times from UTC */
  offset: z
    .string()
    .regex(/^[+-](?:0\d|1[0-4]):[0-5]\d$/, 'is not an offset from UTC: write +08:00')
    .default('+00:00'),
});

export type Window = z.output<typeof windowEntry>;

/** @returns milliseconds until the window opens; 0 inside it */
export function waitMs({ from, to, offset }: Window, now: number): number {
  const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
  const shift = (offset.startsWith('-') ? -1 : 1) * minutes(offset.slice(1)) * 60_000;
  const local = (((now + shift) % DAY_MS) + DAY_MS) % DAY_MS;
  const [start, end] = [minutes(from) * 60_000, minutes(to) * 60_000];
  const inside = start <= end ? local >= start && local < end : local >= start || local < end;
  return inside ? 0 : (start - local + DAY_MS) % DAY_MS;
}
