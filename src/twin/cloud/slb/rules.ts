import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Action, Context } from '../product.js';
import type { Listener } from '../state.js';
import { checkActive, findGroup, findListener, findLoadBalancer } from './find.js';
import { domainFields, ruleFields } from './listeners.js';

const certificates = (kind: 'server' | 'ca', { state }: Context, region: string | undefined): Json[] => {
  const prefix = kind === 'server' ? 'ServerCertificate' : 'CACertificate';
  return [...state.certificates.values()]
    .filter((it) => it.kind === kind && (region === undefined || it.region === region))
    .map((it) => ({
      [`${prefix}Id`]: it.id,
      [`${prefix}Name`]: it.name,
      CommonName: it.commonName,
      RegionId: it.region,
    }));
};

function findRule(id: string, { state }: Context): { listener: Listener; loadBalancer: string } {
  for (const loadBalancer of state.loadBalancers.values()) {
    const listener = loadBalancer.listeners.find((it) => it.rules.some((rule) => rule.id === id));
    if (listener) return { listener, loadBalancer: loadBalancer.id };
  }
  return refuse(404, 'InvalidRuleId.NotFound', 'The specified RuleId does not exist.');
}

function findDomain(id: string, { state }: Context): { listener: Listener; loadBalancer: string } {
  for (const loadBalancer of state.loadBalancers.values()) {
    const listener = loadBalancer.listeners.find((it) => it.domains.some((domain) => domain.id === id));
    if (listener) return { listener, loadBalancer: loadBalancer.id };
  }
  return refuse(404, 'InvalidParameter.DomainExtensionId', 'The specified DomainExtensionId does not exist.');
}

/** Forwarding rules, domain extensions and certificates: what hangs on layer 7 listeners. */
export const ruleActions: Record<string, Action> = {
  DescribeRules: {
    requires: ['RegionId', 'LoadBalancerId', 'ListenerPort'],
    run(parameters, context) {
      const listener = findListener(parameters, findLoadBalancer(parameters, context));
      return { Rules: { Rule: listener.rules.map(ruleFields) } };
    },
  },

  DescribeRuleAttribute: {
    requires: ['RegionId', 'RuleId'],
    run(parameters, context) {
      const id = parameters.required('RuleId');
      const { listener, loadBalancer } = findRule(id, context);
      return {
        ...ruleFields(listener.rules.find((it) => it.id === id)!),
        LoadBalancerId: loadBalancer,
        ListenerPort: String(listener.port),
      };
    },
  },

  CreateRules: {
    requires: ['RegionId', 'LoadBalancerId', 'ListenerPort', 'RuleList'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const listener = findListener(parameters, loadBalancer);
      const wanted = parameters.json('RuleList');
      if (!Array.isArray(wanted)) refuse(400, 'InvalidParameter', 'The specified RuleList is not a list.');
      if (listener.rules.length + wanted.length > context.limits.rulesPerListener) {
        refuse(400, 'RuleNumberOverLimit', 'The number of rules of the listener exceeds the limit.');
      }
      const made = wanted.map((it: Json) => {
        const group = findGroup(parameters, context, String(it.VServerGroupId ?? ''));
        if (group.loadBalancer !== loadBalancer.id)
          refuse(400, 'VipNotMatchRspool', 'The specified VServerGroupId does not belong to the load balancer.');
        const rule = {
          name: String(it.RuleName ?? ''),
          domain: String(it.Domain ?? ''),
          url: String(it.Url ?? ''),
          group: group.id,
        };
        if (listener.rules.some((other) => other.domain === rule.domain && other.url === rule.url)) {
          refuse(400, 'DomainExist', 'There is a rule for this domain and URL already.');
        }
        return { id: context.ids('rule', loadBalancer.id, String(listener.port), rule.domain, rule.url), ...rule };
      });
      listener.rules.push(...made);
      return { Rules: { Rule: made.map(({ id, name }) => ({ RuleId: id, RuleName: name })) } };
    },
  },

  DeleteRules: {
    requires: ['RegionId', 'RuleIds'],
    run(parameters, context) {
      for (const id of parameters.ids('RuleIds') ?? []) {
        const { listener } = findRule(id, context);
        listener.rules = listener.rules.filter((it) => it.id !== id);
      }
      return {};
    },
  },

  DescribeDomainExtensions: {
    requires: ['RegionId', 'LoadBalancerId', 'ListenerPort'],
    run(parameters, context) {
      const listener = findListener(parameters, findLoadBalancer(parameters, context), 'https');
      return {
        DomainExtensions: {
          DomainExtension: listener.domains.map(domainFields),
        },
      };
    },
  },

  CreateDomainExtension: {
    requires: ['RegionId', 'LoadBalancerId', 'ListenerPort', 'Domain', 'ServerCertificateId'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const listener = findListener(parameters, loadBalancer, 'https');
      const domain = parameters.required('Domain');
      const id = context.ids('de', loadBalancer.id, String(listener.port), domain);
      listener.domains.push({ id, domain, certificate: parameters.required('ServerCertificateId') });
      return { DomainExtensionId: id, ListenerPort: listener.port };
    },
  },

  SetDomainExtensionAttribute: {
    requires: ['RegionId', 'DomainExtensionId', 'ServerCertificateId'],
    run(parameters, context) {
      const id = parameters.required('DomainExtensionId');
      findDomain(id, context).listener.domains.find((it) => it.id === id)!.certificate =
        parameters.required('ServerCertificateId');
      return {};
    },
  },

  DeleteDomainExtension: {
    requires: ['RegionId', 'DomainExtensionId'],
    run(parameters, context) {
      const id = parameters.required('DomainExtensionId');
      const { listener } = findDomain(id, context);
      listener.domains = listener.domains.filter((it) => it.id !== id);
      return {};
    },
  },

  DescribeServerCertificates: {
    requires: ['RegionId'],
    run: (parameters, context) => ({
      ServerCertificates: { ServerCertificate: certificates('server', context, parameters.text('RegionId')) },
    }),
  },

  DescribeCACertificates: {
    requires: ['RegionId'],
    run: (parameters, context) => ({
      CACertificates: { CACertificate: certificates('ca', context, parameters.text('RegionId')) },
    }),
  },
};
