import type { View } from './view.js';

/** One event per line on stdout, for programs; notes go to people. */
export function jsonView(write: (text: string) => void, note: (text: string) => void): View {
  return {
    show: ({ type, at, ...rest }) => write(`${JSON.stringify({ schemaVersion: 1, at, type, ...rest })}\n`),
    note: (text) => note(`${text}\n`),
    close: () => undefined,
  };
}
