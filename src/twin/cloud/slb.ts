import type { Json } from '../types.js';
import type { Action, Context, Product } from './product.js';
import { regionList, zonesOf } from './regions.js';
import { beginChange, findListener, findLoadBalancer, groupsOf } from './slb/find.js';
import { groupActions } from './slb/groups.js';
import { listenerActions } from './slb/listeners.js';
import { loadBalancerActions, tagsFromJson } from './slb/load-balancers.js';
import { ruleActions } from './slb/rules.js';
import type { Listener } from './state.js';
import { addTags, tagList } from './tags.js';
import { tagActions, type Tagged } from './tag-actions.js';
import { missing, type Parameters } from './parameters.js';
import { pageOf } from './paging.js';

const BUSY = { status: 400, code: 'ServiceIsConfiguring' };

function healthOf(listener: Listener, { state, health }: Context): Json[] {
  const group = listener.group === undefined ? undefined : state.groups.get(listener.group);
  return (group?.backends ?? []).map((it) => {
    const ip = it.ip || (state.instances.get(it.server)?.ip ?? '');
    return {
      ServerId: it.server,
      ServerIp: ip,
      Port: it.port,
      Protocol: listener.protocol,
      ListenerPort: listener.port,
      Type: it.type,
      ServerHealthStatus: listener.config['HealthCheck'] === 'off' ? 'unavailable' : health(it.server, ip, it.port),
    };
  });
}

const legacyTags = (parameters: Parameters): { key: string; value: string | undefined }[] =>
  tagsFromJson(parameters) ?? missing('Tags');

const otherActions: Record<string, Action> = {
  DescribeRegions: {
    run: (_, { state }) => ({
      Regions: {
        Region: regionList(state).map(({ id, name }) => ({
          RegionId: id,
          LocalName: name,
          RegionEndpoint: `slb.${id}.aliyuncs.com`,
        })),
      },
    }),
  },

  DescribeZones: {
    requires: ['RegionId'],
    run(parameters, { state }) {
      const zones = zonesOf(state, parameters.required('RegionId'));
      const zone = (id: string): Json => ({ ZoneId: id, LocalName: id });
      return {
        Zones: {
          Zone: zones.map((id) => ({
            ...zone(id),
            SlaveZones: { SlaveZone: zones.filter((it) => it !== id).map(zone) },
          })),
        },
      };
    },
  },

  DescribeHealthStatus: {
    requires: ['LoadBalancerId'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      const asked =
        parameters.text('ListenerPort') === undefined
          ? loadBalancer.listeners
          : [findListener(parameters, loadBalancer)];
      return {
        BackendServers: {
          BackendServer: asked.filter((it) => it.status === 'running').flatMap((it) => healthOf(it, context)),
        },
      };
    },
  },

  AddTags: {
    requires: ['LoadBalancerId', 'Tags'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      const wanted = legacyTags(parameters);
      beginChange(loadBalancer, context, BUSY);
      addTags(loadBalancer.tags, wanted, context.limits.tagsPerResource);
      return {};
    },
  },

  RemoveTags: {
    requires: ['LoadBalancerId', 'Tags'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      const wanted = legacyTags(parameters);
      beginChange(loadBalancer, context, BUSY);
      for (const { key } of wanted) delete loadBalancer.tags[key];
      return {};
    },
  },

  DescribeTags: {
    run(parameters, context) {
      const found =
        parameters.text('LoadBalancerId') === undefined
          ? [...context.state.loadBalancers.values()]
          : [findLoadBalancer(parameters, context)];
      const wanted = tagsFromJson(parameters);
      const rows = found.flatMap((it) => tagList(it.tags).map((tag) => ({ ...tag, InstanceCount: 1 })));
      const page = pageOf(
        rows.filter(
          (it) =>
            wanted === undefined ||
            wanted.some((tag) => tag.key === it.TagKey && (tag.value ?? it.TagValue) === it.TagValue),
        ),
        parameters,
        { size: 50 },
      );
      return { ...page.fields, TagSets: { TagSet: page.items } };
    },
  },
};

/** A listener's ResourceId is its load balancer's with protocol and port; access control lists there are none of. */
function taggedResources(type: string, context: Context): Iterable<Tagged> | undefined {
  const { loadBalancers, certificates } = context.state;
  const all = [...loadBalancers.values()];
  switch (type) {
    case 'instance':
      return all;
    case 'listener':
      return all.flatMap(({ id, region, listeners }) =>
        listeners.map(({ protocol, port, tags }) => ({ id: `${id}_${protocol}_${port}`, tags, region })),
      );
    case 'vservergroup':
      return all.flatMap((it) => groupsOf(it.id, context).map(({ id, tags }) => ({ id, tags, region: it.region })));
    case 'certificate':
      return [...certificates.values()].map(({ id, region }) => ({ id, region, tags: {} }));
    case 'acl':
      return [];
    default:
      return undefined;
  }
}

/** Classic Load Balancer. */
export const slb: Product = {
  name: 'Slb',
  version: '2014-05-15',
  tokenUnderWay: () => ({ status: 400, code: 'OperationFailed.TokenIsProcessing' }),
  actions: {
    ...loadBalancerActions,
    ...listenerActions,
    ...groupActions,
    ...ruleActions,
    ...otherActions,
    ...tagActions(taggedResources),
  },
};
