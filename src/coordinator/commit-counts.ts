/** CommitCounts owns what the committer counts; every part that counts is given it. */
import { Histogram } from '../histogram.js'

export class CommitCounts {
  writes = 0
  deletes = 0
  refused = 0
  readonly groupOperations = new Histogram(1)
  readonly commitMs = new Histogram(0.01)
  readonly queueWaitMs = new Histogram(0.01)
}
