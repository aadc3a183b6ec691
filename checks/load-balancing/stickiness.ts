import type { Check, Finding } from '../../src/check.js';
import { balanced, type BalancedFront } from '../fronts.js';

/**
 * A weight is the rate at which newcomers are shared out. Clients that are kept on their member come back to where they
 * were, at any weight, until the listener forgets them; so the share of requests lags behind, in both directions.
 *
 * @source https://github.com/fluxcd/flagger/issues/1532 (a share that creeps at a fixed weight)
 * @source kubernetes/cloud-provider-alibaba-cloud:docs/usage.md
 */
export const stickiness: Check = {
  id: 'stickiness',
  group: 'load-balancing',
  asks: 'Are clients shared out anew at each connection?',
  before: 'traffic',
  severity: 'warn',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service'], target: ['Service'], cloud: true },
  takes: { Service: 'named' },
  hint: {
    why: 'Clients that are kept on their member follow a new weight only once they are forgotten: forward, the share lags; back, some stay on the side that you are leaving.',
    fix: 'Turn persistence off for the time of the move, or let each step hold longer than it lasts.',
  },
  zh: {
    asks: '客户端的每个新连接是否都会重新分配？',
    why: '开启会话保持时，老客户端在超时之前一直回到原来的后端：放量时实际比例滞后，回退时也有一部分客户端留在要撤离的一侧。',
    fix: '迁移期间关闭会话保持，或让每一步的观察时间长于会话保持时间。',
  },
  sources: ['https://github.com/fluxcd/flagger/issues/1532', 'kubernetes/cloud-provider-alibaba-cloud:docs/usage.md'],

  look: (sight) => balanced(sight).flatMap(sticking),
};

function sticking({ about, balancer, listener, source }: BalancedFront): Finding[] {
  const found: Finding[] = [];
  const name = `listener ${balancer.id}:${listener?.port}`;
  if ((listener?.persistenceS ?? 0) > 0) {
    found.push({
      about: name,
      saw: `persistence of ${listener?.persistenceS} s by source address`,
      want: '0',
      breaks: `the share for ${listener?.persistenceS} s after each step`,
    });
  }
  if (listener?.stickySession)
    found.push({
      about: name,
      saw: 'sticky sessions by cookie',
      want: 'off',
      breaks: 'the share, for as long as the cookies live',
    });
  if (source?.['spec']?.sessionAffinity === 'ClientIP') {
    const seconds = source['spec'].sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
    found.push({
      about,
      saw: `sessionAffinity ClientIP, ${seconds} s`,
      breaks:
        'nothing of the share; but each cluster and node remembers for itself, so every client changes its pod once when it moves',
      fix: 'See that losing the pod once costs a user nothing, or keep sessions in a shared store.',
    });
  }
  return found;
}
