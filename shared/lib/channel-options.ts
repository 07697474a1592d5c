/**
 * How our gRPC clients keep their connections.
 *
 * By default, they wait up to two minutes before they reconnect, and they use a silently lost connection until TCP closes it
 * after 15 minutes. Pings are sent only while a call is under way.
 */
export const CHANNEL_OPTIONS = {
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 5_000,
}
