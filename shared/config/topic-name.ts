/** A topic's name in full: one without a slash is of this project, as Pub/Sub's client has it. */
export function fullTopicName(topic: string, project: string): string {
  return topic.includes('/') ? topic : `projects/${project}/topics/${topic}`
}
