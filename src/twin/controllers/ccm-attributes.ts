import type { Json, TwinObject } from '../types.js';
import { annotation } from './ccm-model.js';
import { NotNow } from './queue.js';

/**
 * What annotations ask of the load balancer itself, against what it shows.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/loadbalancer.go (Update)
 */

/** Annotations whose value can't be changed once the load balancer is there, with the attribute and the controller's words. */
const FIXED: { suffix: string; attribute: string; words: string }[] = [
  { suffix: 'master-zoneid', attribute: 'MasterZoneId', words: 'LoadBalancer master zone id once created' },
  { suffix: 'slave-zoneid', attribute: 'SlaveZoneId', words: 'LoadBalancer slave zone id once created' },
  {
    suffix: 'address-type',
    attribute: 'AddressType',
    words: 'LoadBalancer AddressType once created. delete and retry',
  },
  { suffix: 'resource-group-id', attribute: 'ResourceGroupId', words: 'ResourceGroupId once created' },
  { suffix: 'ip', attribute: 'Address', words: 'LoadBalancer address once created' },
];

const ipVersion = (text: string | undefined): string => text || 'ipv4';

/** Refusals, in the controller's words; none when all fits. */
export function fixedAttributes(service: TwinObject, seen: Json): string[] {
  const refused = FIXED.filter(({ suffix, attribute }) => {
    const asked = annotation(service, suffix);
    return asked !== '' && asked !== seen[attribute];
  }).map(({ words }) => `alicloud: can not change ${words}`);
  if (ipVersion(annotation(service, 'ip-version')) !== ipVersion(seen.AddressIPVersion))
    refused.push('alicloud: can not change LoadBalancer AddressIPVersion once created');
  return refused;
}

export interface Change {
  action: string;
  parameters: Record<string, string>;
}

/** The calls that bring the rest in step; an attribute without its annotation stays as it is. */
export function attributeChanges(service: TwinObject, seen: Json): Change[] {
  const asked = (suffix: string, attribute: string): string | undefined => {
    const value = annotation(service, suffix);
    return value === '' || value === String(seen[attribute] ?? '') ? undefined : value;
  };
  const changes: Change[] = [];
  const add = (action: string, parameters: Record<string, string>): void => void changes.push({ action, parameters });

  const charged = asked('instance-charge-type', 'InstanceChargeType');
  const spec = annotation(service, 'spec');
  const paysBySpec = (annotation(service, 'instance-charge-type') || seen.InstanceChargeType) === 'PayBySpec';
  if (charged !== undefined)
    add('ModifyLoadBalancerInstanceChargeType', {
      InstanceChargeType: charged,
      ...(charged === 'PayBySpec' ? { LoadBalancerSpec: spec || 'slb.s1.small' } : {}),
    });
  else if (paysBySpec && asked('spec', 'LoadBalancerSpec') !== undefined)
    add('ModifyLoadBalancerInstanceSpec', { LoadBalancerSpec: spec });

  const bandwidth = annotation(service, 'bandwidth');
  if (bandwidth !== '' && !/^[+-]?\d+$/.test(bandwidth))
    throw new NotNow(`bandwidth must be integer, got [${bandwidth}]`);
  const chargeType = asked('charge-type', 'InternetChargeType');
  const wider =
    annotation(service, 'charge-type') === 'paybybandwidth' && asked('bandwidth', 'Bandwidth') !== undefined;
  // Only a public load balancer pays for its traffic.
  if ((chargeType !== undefined || wider) && seen.AddressType === 'internet')
    add('ModifyLoadBalancerInternetSpec', {
      InternetChargeType: chargeType ?? seen.InternetChargeType,
      Bandwidth: wider ? bandwidth : String(seen.Bandwidth),
    });

  const protection = asked('delete-protection', 'DeleteProtection');
  if (protection !== undefined) add('SetLoadBalancerDeleteProtection', { DeleteProtection: protection });
  const modification = asked('modification-protection', 'ModificationProtectionStatus');
  if (modification !== undefined)
    add('SetLoadBalancerModificationProtection', { ModificationProtectionStatus: modification });
  const name = asked('name', 'LoadBalancerName');
  if (name !== undefined) add('SetLoadBalancerName', { LoadBalancerName: name });
  return changes;
}
