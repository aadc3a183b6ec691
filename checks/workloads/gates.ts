import type { Check } from '../../src/check.js';
import { gateKind, isApprove, isCapacity, leastHold } from '../../src/gates.js';
import { spell } from '../../src/words.js';

/**
 * Between two steps somebody must look whether the target serves. Without a gate nobody does, and the hold is time that passes.
 *
 * @source https://sre.google/workbook/canarying-releases/
 */
export const gates: Check = {
  id: 'gates',
  group: 'workloads',
  asks: 'Does anything watch each step, and is a step held long enough to be watched?',
  before: 'traffic',
  severity: 'warn',
  when: ['traffic'],
  reads: { source: ['Service'] },
  takes: { Service: 'named' },
  hint: {
    why: 'Without a gate a step is taken as good because nothing asked: the next one sends more users into the same fault.',
    fix: 'Name a probe under `traffic.gates`: an address in front of the load balancer that answers 200 when all is well.',
  },
  zh: {
    asks: '每一步放量是否都有检查，并且观察时间足够？',
    why: '没有 gate 的步骤，只因没人检查就算成功；下一步会把更多用户送进同样的故障。',
    fix: '在 traffic.gates 下配置探测地址：经过负载均衡、正常时返回 200 的地址。',
  },
  sources: ['https://sre.google/workbook/canarying-releases/', 'https://docs.flagger.app/usage/metrics'],

  look({ playbook }) {
    const { traffic } = playbook;
    if (!traffic) return [];
    const watching = traffic.gates.filter((it) => !isApprove(it) && !isCapacity(it));
    if (watching.length === 0) {
      const saw = traffic.gates.length === 0 ? 'none' : `only ${traffic.gates.map(gateKind).join(', ')}`;
      return [{ about: 'traffic.gates', saw, want: 'a probe', breaks: 'nobody notices a step that fails' }];
    }
    return watching.flatMap((gate) => {
      // Without a single error it must fit, or the playbook is refused; one that is chance must fit too.
      const least = leastHold(gate, 1) ?? 0;
      if (least <= traffic.hold) return [];
      const want = `${spell(least)}: what gate ${gateKind(gate)} takes to pass after one error`;
      const breaks = 'one error that is chance leaves the gate undecided, and the share goes back';
      return [{ about: 'traffic.hold', saw: spell(traffic.hold), want, breaks }];
    });
  },
};
