import type { Screen } from '../screen.js';
import type { Lang } from './tongue.js';
import type { View } from './view.js';

/** A view that can make room for a question. */
export interface OpenView extends View {
  pause(): void;
}

export interface Opening {
  command: string;
  /** text, json, or one of the formats of a report */
  format: string;
  out: Screen;
  err: Screen;
  quiet: boolean;
  verbose: boolean;
  lang: Lang;
  /** a live view of the shares */
  watch: boolean;
}

/** The view for a format; only that one is loaded. */
export async function openView(opening: Opening): Promise<OpenView> {
  const { out, err, format } = opening;
  if (format === 'json') {
    const { jsonView } = await import('./json.js');
    return { ...jsonView(out.write, err.write), pause: () => undefined };
  }
  const { textView } = await import('./people.js');
  return textView(opening);
}
