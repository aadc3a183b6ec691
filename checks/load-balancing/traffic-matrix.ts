import { Skipped, Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { ProbeAnswer } from '../../src/inventory.js';
import { SIDES, type Side } from '../../src/ports.js';
import { proxyConfig } from '../config-maps.js';

/**
 * What becomes of a call to a node port of policy Local, to 127.0.0.1 or through a masquerade is in no object: it depends on the mode
 * that kube-proxy really runs in, its version, the kernel and the network plug-in. The same tiny workload, asked in the same ways on both
 * sides, shows where they differ.
 *
 * @source KEP-3866 (kubernetes/enhancements), https://github.com/kubernetes/kubernetes/pull/97081
 */
export const trafficMatrix: Check = {
  id: 'traffic-matrix',
  group: 'load-balancing',
  asks: 'Does a call inside the target arrive in every way in which it does in the source?',
  before: 'traffic',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  reads: {},
  also: { source: ['ConfigMap'], target: ['ConfigMap'] },
  takes: { ConfigMap: 'named' },
  hint: {
    why: 'Ways that worked by the side of one mode of kube-proxy (127.0.0.1 and the node port, policy Local on a node without a pod, the address that a server sees) end with another.',
    fix: 'Let callers use the way that works on both sides, as a rule the cluster address by its name. Asked again with `migrate preflight --probe`.',
  },
  zh: {
    asks: '集群内部的各种访问方式，在源集群可达的，在目标集群是否也可达？',
    why: '有些访问方式依赖 kube-proxy 的模式（127.0.0.1 加 NodePort、Local 策略下没有 Pod 的节点、服务端看到的源地址），换了模式就会失效。',
    fix: '让调用方改用两侧都可用的方式，一般是通过 Service 名访问 ClusterIP；修改后用 migrate preflight --probe 复查。',
  },
  sources: [
    'KEP-3866 (kubernetes/enhancements)',
    'https://github.com/kubernetes/kubernetes/pull/97081',
    'KEP-6032 (kubernetes/enhancements)',
  ],

  look(sight) {
    const asked = sight.probes?.filter((it) => it.ask === 'traffic') ?? [];
    if (asked.length === 0)
      throw new Skipped(
        'nobody has asked: `migrate preflight --probe` starts a tiny workload on both sides, and removes it',
      );
    const left = sight.probes?.filter((it) => it.ask === 'probe-removed' && it.answer === 'no') ?? [];
    const of = (side: Side) => asked.filter((it) => it.side === side);
    for (const side of SIDES) {
      const failed = of(side).find((it) => it.answer === 'unknown');
      if (failed) throw new Unknown(`${side}: ${failed.about === side ? '' : `${failed.about}: `}${failed.saw}`);
    }
    const there = new Map(of('target').map((it) => [it.about, it]));
    return [
      ...of('source').flatMap((it) => compared(it, there.get(it.about))),
      ...SIDES.flatMap((side) => modeOf(sight[side], sight)),
      ...left.map(({ side, about, saw }): Finding => ({
        about: `${side}: ${about}`,
        severity: 'warn',
        saw,
        want: 'gone',
        breaks: 'nothing, but it is in the way',
        fix: 'See what holds it: `kubectl get` it with -o yaml, and look at its conditions.',
      })),
    ];
  },
};

/** Without these nothing works at all. */
const BASIC = /to (?:pod|cluster) address$/;

function compared(here: ProbeAnswer, there: ProbeAnswer | undefined): Finding[] {
  if (!there || here.answer !== 'yes') return [];
  const head = { about: here.about, saw: `${there.saw} in the target`, want: `${here.saw}, as in the source` };
  if (there.answer === 'no')
    return [
      {
        ...head,
        severity: BASIC.test(here.about) ? 'refuse' : 'warn',
        breaks: BASIC.test(here.about) ? 'every call between services' : 'whoever calls that way',
      },
    ];
  if (there.saw !== here.saw)
    return [
      {
        ...head,
        severity: 'warn',
        breaks: 'lists of allowed addresses, and limits by caller',
        fix: 'Look at NetworkPolicies, allow-lists and rate limits that go by the address of the caller.',
      },
    ];
  return [];
}

/** Old releases fall back to iptables without a word when a module of the kernel is missing. */
function modeOf(side: SideSight, { probes = [] }: Sight): Finding[] {
  const running = probes.find((it) => it.ask === 'proxy-mode' && it.side === side.side && it.answer === 'yes')?.saw;
  const wished = configured(side);
  if (running === undefined || wished === undefined || running === wished) return [];
  return [
    {
      about: `${side.side}: kube-proxy`,
      severity: 'warn',
      saw: `runs in ${running}`,
      want: `${wished}, as configured`,
      breaks: 'what other checks say of its mode',
      fix: 'Read its log: modules of the kernel for the configured mode are missing.',
    },
  ];
}

function configured(side: SideSight): string | undefined {
  try {
    return proxyConfig(side).mode;
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}
