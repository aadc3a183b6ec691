import type { Ids } from './ids.js';
import { type CloudState, type Instance, type Interface, regionOfZone } from './state.js';

/** Of an instance of which nobody says more. */
const INSTANCE_TYPE = 'ecs.g7.xlarge';

function makeInterface(
  state: CloudState,
  ids: Ids,
  it: { ip: string; instance: string; zone: string; primary: boolean },
): Interface {
  const made: Interface = {
    ...it,
    id: ids('eni', it.ip, it.instance),
    region: it.zone === '' ? state.region : regionOfZone(it.zone),
    tags: {},
  };
  state.interfaces.set(it.ip, made);
  return made;
}

/** Makes an instance known, with its primary interface; known already, it gets the zone, address and VPC given now. */
export function registerInstance(
  state: CloudState,
  ids: Ids,
  { id, zone, ip, vpc, type }: { id: string; zone: string; ip: string; vpc?: string | undefined; type?: string },
): Instance {
  const known = state.instances.get(id);
  const made: Instance = {
    id,
    name: known?.name ?? id,
    type: type ?? known?.type ?? INSTANCE_TYPE,
    region: zone === '' ? state.region : regionOfZone(zone),
    zone,
    ip,
    vpc: vpc ?? known?.vpc,
    tags: known?.tags ?? {},
  };
  state.instances.set(id, made);
  if (zone !== '') {
    state.zones.add(zone);
    state.regions.add(made.region);
  }
  if (known && known.ip !== ip) state.interfaces.delete(known.ip);
  if (ip !== '' && state.interfaces.get(ip)?.instance !== id)
    makeInterface(state, ids, { ip, instance: id, zone, primary: true });
  return made;
}

/** The interface of a pod's address. An address that has one keeps it and moves with it to the instance given. */
export function plugInterface(state: CloudState, ids: Ids, ip: string, instance: string, zone: string): string {
  const known = state.interfaces.get(ip);
  if (!known) return makeInterface(state, ids, { ip, instance, zone, primary: false }).id;
  Object.assign(known, { instance, zone, region: zone === '' ? known.region : regionOfZone(zone) });
  return known.id;
}
