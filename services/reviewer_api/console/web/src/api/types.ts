/** The API's own types, by short names. */
import type { components } from './schema'

type Schemas = components['schemas']
export type Claims = Schemas['Claims']
export type ReviewTask = Schemas['ReviewTask']
export type PolicyLabel = Schemas['PolicyLabel']
export type DecisionState = Schemas['DecisionState']
export type NearTasks = Schemas['NearTasks']
export type BulkState = Schemas['BulkState']
export type UndoneBulk = Schemas['UndoneBulk']
export type TaskState = Schemas['TaskState']
export type Lease = Schemas['Lease']
export type Queues = Schemas['Queues']
export type Queue = Schemas['Queue']
export type PolicyDocument = Schemas['PolicyDocument']

export type Me = Schemas['Me']

export type Outcome = 'approve' | 'reject'

/** `GET /v1/review/tasks/{task_id}/context`: settled content only. */
export type TaskContext = Schemas['Background']
export type Author = Schemas['Author']
export type PastContent = Schemas['PastContent']
export type Note = Schemas['WrittenNote']

export type WaitingTasks = Schemas['WaitingTasks']
export type SearchPage = Schemas['SearchPage']
export type Content = Schemas['Content']
export type Decision = Schemas['Decision']
export type Reversal = Schemas['Reversal']
export type Stats = Schemas['Stats']
export type Reviewers = Schemas['Reviewers']
export type HeldItems = Schemas['HeldItems']
export type AccountList = Schemas['AccountList']
export type Account = Schemas['Account']
export type CreatedAccount = Schemas['CreatedAccount']
export type LoginLink = Schemas['LoginLink']
export type ApiKeyList = Schemas['ApiKeyList']
export type CreatedApiKey = Schemas['CreatedApiKey']
export type AuditLogPage = Schemas['AuditLogPage']
export type PolicyList = Schemas['PolicyList']
export type PolicyCheck = Schemas['PolicyCheck']
export type Quality = Schemas['QualityMeasured']
export type MeasuredSide = Schemas['MeasuredSide']
export type MeasuredShare = Schemas['MeasuredShare']
