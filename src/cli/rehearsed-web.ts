import type { Web, WebPurpose } from '../ports.js';
import type { Twin } from '../twin/twin.js';

/**
 * In a rehearsal nobody outside is asked. Figures come from the virtual clients, in Prometheus's own format: how many requests each side got,
 * and how many failed. A value in PromQL can't be worked out of that and is taken to be within its bounds; a webhook is taken to agree.
 */
export const rehearsedWeb = ({ clients }: Pick<Twin, 'clients'>): Web => ({
  ask: ({ about }) =>
    Promise.resolve({
      status: 200,
      text: about.kind === 'webhook' ? 'a rehearsal asks no webhook' : JSON.stringify(matrix(about, clients)),
    }),
});

type Figures = Extract<WebPurpose, { kind: 'figures' }>;

function matrix(about: Figures, clients: Twin['clients']) {
  const { start, end, step } = about;
  const values = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, index) => {
    const at = start + index * step;
    return [at, String(figureAt(about, at, clients))];
  });
  return { status: 'success', data: { resultType: 'matrix', result: [{ metric: {}, values }] } };
}

function figureAt({ of, side, step, min, max }: Figures, at: number, clients: Twin['clients']): number {
  if (of === 'value') return min !== undefined && max !== undefined ? (min + max) / 2 : (max ?? min ?? 0);
  const share = clients.share({ since: (at - step) * 1000, until: at * 1000 });
  // A client that got no answer doesn't know which side it would have been: both answer for it.
  return of === 'errors' ? share.failed : share[side] + share.failed;
}
