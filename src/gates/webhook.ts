import type { WebhookGate } from '../gates.js';
import { splitPath } from '../objects.js';
import type { StepContext } from '../step.js';
import { points } from '../words.js';
import { clipped } from './evidence.js';
import type { Held, Watch } from './watch.js';

/**
 * Asks somebody else's program, with Flagger's request, so that hooks written for that serve here too. 2xx lets the share go on; anything
 * else, and no answer, holds it. The latest answer counts.
 *
 * @source https://docs.flagger.app/usage/webhooks, fluxcd/flagger:pkg/apis/flagger/v1beta1/canary.go CanaryWebhookPayload
 */
export function watchWebhook(gate: WebhookGate, { service, asked }: Held, { world, step, mark }: StepContext): Watch {
  const { namespace, name } = splitPath(service);
  const payload = {
    name,
    namespace,
    phase: 'Progressing',
    checksum: mark,
    metadata: { ...gate.metadata, step: step.id, share: points(asked) },
  };
  let [answers, state]: [number, 'pass' | 'wait'] = [0, 'wait'];
  let last: string | undefined;

  return {
    everyMs: gate.every,
    async look() {
      const reply = await world.web.ask({
        method: 'POST',
        url: gate.webhook,
        json: payload,
        timeoutMs: gate.timeout,
        about: { kind: 'webhook' },
        ...(gate.tokenFrom !== undefined && { tokenFrom: gate.tokenFrom }),
      });
      answers++;
      state = reply.status >= 200 && reply.status < 300 ? 'pass' : 'wait';
      last = reply.error ?? `${reply.status} ${reply.text}`;
    },
    seen: () => ({
      state,
      why:
        last === undefined
          ? 'not asked yet'
          : state === 'pass'
            ? `answered ${clipped(last)}`
            : `holds: ${clipped(last)}`,
      evidence: {
        asked: clipped(gate.webhook),
        requests: answers,
        ...(last !== undefined && { last: clipped(last) }),
      },
    }),
  };
}
