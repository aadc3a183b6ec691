import type { Check, Finding } from '../../src/check.js';
import { nearest } from '../../src/words.js';
import { annotation, NLB_SUFFIXES, PREFIXES, SUFFIXES } from '../annotations.js';
import { balancerId, fronts, type Front } from '../fronts.js';

/**
 * The controller never complains of an annotation that it doesn't know, and from v2.12 on not of a bad value either: it
 * goes on without it, which can mean default weights, a group of its own, or its members taken out of the shared one.
 * So the annotations are read here as the controller reads them, to the blank.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/{listeners,vgroups}.go
 */
export const serviceAnnotations: Check = {
  id: 'service-annotations',
  group: 'load-balancing',
  asks: 'Do the annotations of the Services say what the controllers will read?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['traffic'],
  reads: { source: ['Service'], target: ['Service'] },
  takes: { Service: 'named' },
  hint: {
    why: 'What the controller cannot read it leaves out without an error: the Service gets default weights, a group of its own, or loses its members.',
    fix: 'On the source Service: …-loadbalancer-id: lb-…, …-loadbalancer-vgroup-port: "rsp-…:PORT" (group first, no blanks), and no …-force-override-listeners. For an NLB the ids are nlb-… and sgp-…, and spec.loadBalancerClass is alibabacloud.com/nlb.',
  },
  zh: {
    asks: 'Service 上的注解是否与 CCM 实际读取的一致？',
    why: 'CCM 对读不懂的注解会直接忽略且不报错：Service 可能用上默认权重、被另建一个服务器组，甚至从共享组里被移除。',
    fix: '源 Service 上应有 …-loadbalancer-id: lb-…、…-loadbalancer-vgroup-port: "rsp-…:端口"（服务器组 ID 在前，不含空格），且不要设置 …-force-override-listeners。NLB 的 ID 为 nlb-… 与 sgp-…，且 spec.loadBalancerClass 须为 alibabacloud.com/nlb。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/reconcile/annotation/annotations.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/listeners.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2/server_groups.go',
  ],

  // Servers outside any cluster have no Service.
  look: (sight) =>
    fronts(sight).flatMap((it) => [...(sight.playbook.source.context === '' ? [] : ofSource(it)), ...ofTarget(it)]),
};

function ofSource(front: Front): Finding[] {
  const { about, asked, source } = front;
  if (!source) return [{ about, saw: 'the source has no such Service', fix: 'Name a Service that the source has.' }];
  const { type = 'ClusterIP', ports = [], loadBalancerClass } = source['spec'] ?? {};
  if (type !== 'LoadBalancer') return [{ about, saw: `type ${type}`, want: 'LoadBalancer' }];
  const numbers = (ports as { port: number }[]).map((it) => it.port);
  return [
    ...(numbers.includes(asked.port) ? [] : [{ about, saw: `ports ${numbers.join(', ')}`, want: String(asked.port) }]),
    ...ignored(front, loadBalancerClass),
    ...misspelt(front),
    ...mixed(front),
    // What is taken over first is given these annotations, and loses this one, in the same step.
    ...(isHandedOverHere(front)
      ? []
      : [...shared(front), ...overriding(about, annotation(source, 'force-override-listeners'))]),
    ...badWeight(about, annotation(source, 'weight'), asked),
  ];
}

/** Nothing names a load balancer yet, and the playbook says that its controller's is to be taken over. */
const isHandedOverHere = ({ asked, source }: Front): boolean =>
  asked.handOver !== undefined && (annotation(source, 'id') ?? '') === '';

const CLASS = 'service.beta.kubernetes.io/class';

/** Which loop of the controller a Service is for. */
const CLASSES = { clb: 'none', nlb: 'alibabacloud.com/nlb' };

function ignored({ about, asked, source }: Front, loadBalancerClass: string | undefined): Finding[] {
  const breaks = 'the controller leaves this Service alone, so no weight of it is ever written';
  const [saw, want] = [loadBalancerClass ?? 'none', CLASSES[asked.router]];
  if (saw !== want) return [{ about, saw: `loadBalancerClass ${saw}`, want, breaks }];
  // The loop for network load balancers does not read the annotation.
  if (asked.router === 'nlb') return [];
  return source?.metadata.annotations?.[CLASS] === undefined
    ? []
    : [{ about, saw: `annotation ${CLASS}`, want: 'none', breaks }];
}

/** Names that look like the controller's but are not; one that was published in 2021 is among them. */
function misspelt({ about, asked, source }: Front): Finding[] {
  const known = [...SUFFIXES, ...(asked.router === 'nlb' ? NLB_SUFFIXES : [])];
  return suffixesOf(source).flatMap((suffix): Finding[] => {
    if (known.includes(suffix)) return [];
    const meant = suffix.startsWith('vgroup') ? 'vgroup-port' : nearest(suffix, known);
    const serious = meant !== undefined && SHARING.includes(meant);
    return [
      {
        about,
        severity: serious ? 'refuse' : 'warn',
        saw: `annotation …-loadbalancer-${suffix}`,
        want: meant ? `…-loadbalancer-${meant}` : 'a name that the controller knows',
        breaks: 'the controller ignores it without a word',
        fix: meant
          ? `Rename it to …-loadbalancer-${meant} if that is what it means.`
          : 'Remove it, or see what it was meant to be.',
      },
    ];
  });
}

const SHARING = ['id', 'vgroup-port', 'weight', 'force-override-listeners'];

const suffixesOf = (service: Front['source']): string[] => {
  const keys = Object.keys(service?.metadata.annotations ?? {});
  return [
    ...new Set(
      keys.flatMap((key) =>
        PREFIXES.filter((prefix) => key.startsWith(prefix)).map((prefix) => key.slice(prefix.length)),
      ),
    ),
  ];
};

function mixed({ about, source }: Front): Finding[] {
  const annotations = source?.metadata.annotations ?? {};
  return suffixesOf(source).flatMap((suffix): Finding[] => {
    const [newer, older] = PREFIXES.map((prefix) => annotations[prefix + suffix]);
    if (newer === undefined || older === undefined || newer === older) return [];
    return [
      {
        about,
        severity: 'warn',
        saw: `…-loadbalancer-${suffix} is "${newer}" under the newer prefix, "${older}" under the older one`,
        want: 'one of them',
        breaks: 'nothing yet: the newer one counts, even when it is empty',
      },
    ];
  });
}

function shared(front: Front): Finding[] {
  const { about, asked, source } = front;
  const id = annotation(source, 'id') ?? '';
  // Taken over already: which group a port has is for the listener to say.
  if (asked.group === '') return [];
  const wanted = balancerId(front) ?? 'lb-…';
  const entry = `${asked.group}:${asked.port}`;
  if (id === '')
    return [
      {
        about,
        saw: 'no …-loadbalancer-id',
        want: wanted,
        breaks: 'the source is not in the shared group; its controller made a load balancer of its own',
      },
    ];
  const found: Finding[] = [];
  if (id !== wanted) found.push({ about, saw: `…-loadbalancer-id: ${id}`, want: `${wanted}, as the playbook says` });
  const text = annotation(source, 'vgroup-port') ?? '';
  const trouble = troubleWith(text, asked.group, asked.port);
  if (trouble !== undefined)
    found.push({ about, saw: `…-loadbalancer-vgroup-port: "${text}": ${trouble}`, want: entry });
  return found;
}

function troubleWith(text: string, group: string, port: number): string | undefined {
  if (text === '') return 'there is none';
  if (/\s/.test(text)) return 'an entry with a blank is not read';
  const entries = text.split(',').map((it) => it.split(':'));
  if (entries.some(([first = '', second = '']) => /^\d+$/.test(first) && /^(?:rsp|sgp)-/.test(second)))
    return 'the group comes first, then the port; the other way round no port matches';
  const mine = entries.find(([, it]) => it === String(port));
  if (!mine) return `no entry for port ${port}`;
  if (mine[0] !== group) return `port ${port} is in ${mine[0]}`;
  return entries.filter(([it]) => it === group).length > 1
    ? `${group} is named for two ports, which take each other's members out`
    : undefined;
}

const overriding = (about: string, value: string | undefined): Finding[] =>
  value === 'true'
    ? [
        {
          about,
          saw: '…-loadbalancer-force-override-listeners: "true"',
          want: 'absent',
          breaks: 'the controller rewrites the shared listener, and deletes it with the Service',
        },
      ]
    : [];

/** As Go's Atoi reads it, from 0 to 100; empty is the same as absent. */
function badWeight(about: string, value: string | undefined, { router }: Front['asked']): Finding[] {
  if (value === undefined || value === '') return [];
  if (/^[+-]?\d+$/.test(value) && Number(value) >= 0 && Number(value) <= 100) return [];
  return [
    {
      about,
      saw: `…-loadbalancer-weight: "${value}"`,
      want: 'a whole number from 0 to 100',
      breaks: BREAKS[router],
    },
  ];
}

const BREAKS = {
  clb: 'from v2.12 on the controller takes its members out of the group at the next event',
  nlb: 'the controller stops at the Service: neither weights nor members follow until it is mended',
};

/** A namesake on the target is welcome only as what an earlier run has left there. */
function ofTarget(front: Front): Finding[] {
  const { asked, target } = front;
  if (!target || target['spec']?.type !== 'LoadBalancer') return [];
  const about = `target service ${asked.service}`;
  const id = annotation(target, 'id') ?? '';
  const wanted = balancerId(front);
  const found = [
    ...overriding(about, annotation(target, 'force-override-listeners')),
    ...badWeight(about, annotation(target, 'weight'), asked),
  ];
  if (id === '') {
    found.push({
      about,
      saw: 'a LoadBalancer without …-loadbalancer-id: it has, or gets, one of its own',
      want: wanted ?? asked.group,
      breaks: 'binding it to the shared one: a Service that has an address cannot be bound to another',
      fix: 'Delete it on the target, or turn it into a ClusterIP Service first.',
    });
    return found;
  }
  if (wanted !== undefined && id !== wanted) found.push({ about, saw: `…-loadbalancer-id: ${id}`, want: wanted });
  const ports = annotation(target, 'vgroup-port') ?? '';
  const joined =
    asked.group === ''
      ? ports.split(',').some((it) => it.endsWith(`:${asked.port}`))
      : ports.split(',').includes(`${asked.group}:${asked.port}`);
  const weight = annotation(target, 'weight') ?? '';
  if (joined && !/^[+-]?0+$/.test(weight)) {
    found.push({
      about,
      severity: 'warn',
      saw: `in ${asked.group || 'the group'} already, with weight ${weight === '' ? '100 for each member' : weight}`,
      want: 'weight 0 before the first step',
      breaks: 'nothing if a run has brought it there; else it serves before it was asked to',
    });
  }
  return found;
}
