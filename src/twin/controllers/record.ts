import { hash32 } from '../random.js';
import type { ClusterApi, TwinClock, TwinObject } from '../types.js';
import { isWorthRetrying } from './queue.js';

export type Recorder = (
  about: TwinObject,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
) => Promise<void>;

export const isoSeconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * Writes core Events; an equal one is counted instead of repeated. An event that can't be written is lost, as with the real
 * recorder (k8s.io/client-go:tools/record).
 */
export function eventRecorder(api: ClusterApi, clock: TwinClock, component: string): Recorder {
  const counts = new Map<string, number>();

  return async (about, type, reason, message) => {
    const { namespace = 'default', name, uid } = about.metadata;
    const id = hash32(JSON.stringify([about.kind, uid, type, reason, message, component]));
    const eventName = `${name}.${id.toString(16).padStart(8, '0')}`;
    const key = `${namespace}/${eventName}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const now = isoSeconds(clock.now());
    try {
      if (count > 1) {
        await api.mergePatch('v1/events', namespace, eventName, { count, lastTimestamp: now });
        return;
      }
      await api.create('v1/events', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: eventName, namespace },
        involvedObject: {
          apiVersion: about.apiVersion,
          kind: about.kind,
          namespace: about.metadata.namespace,
          name,
          uid,
        },
        reason,
        message,
        type,
        source: { component },
        reportingComponent: component,
        reportingInstance: component,
        firstTimestamp: now,
        lastTimestamp: now,
        count,
      });
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
    }
  };
}
