import type { Shown } from '../events.js';

/** Draws what happens. It is told each event once, in order; the last one is `ended`. */
export interface View {
  show(event: Shown): void;
  /** one line beside the events, e.g. a request for -v */
  note(text: string): void;
  /** leaves the terminal as it was found */
  close(): void;
}
