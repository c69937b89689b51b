/** The API's own types, by short names. */
import type { components } from './schema'

type Schemas = components['schemas']
export type Claims = Schemas['Claims']
export type ReviewTask = Schemas['ReviewTask']
export type PolicyLabel = Schemas['PolicyLabel']
export type DecisionState = Schemas['DecisionState']
export type TaskState = Schemas['TaskState']
export type Lease = Schemas['Lease']
export type Queues = Schemas['Queues']
export type Queue = Schemas['Queue']
export type PolicyDocument = Schemas['PolicyDocument']

export type Me = Schemas['Me']
export type TaskContext = Schemas['Background']
export type Author = Schemas['Author']
export type PastContent = Schemas['PastContent']

export type Outcome = 'approve' | 'reject'
