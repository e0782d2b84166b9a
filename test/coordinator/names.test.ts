import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Names, PlannedNames } from '../../src/coordinator/names.js'
import { META_DIRECTORY } from '../../src/names.js'
import { compareUtf8 } from '../../src/utf8.js'

const foldCase = (name: string): string => name.toLowerCase()

const component = fc.constantFrom('a', 'b', 'A', 'B', 'ab', 'a-', 'z')
const key = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))

type Step = { readonly do: 'add' | 'remove'; readonly key: string } | { readonly do: 'clear' | 'list' }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom('add' as const, 'remove' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('clear' as const, 'list' as const) }) },
)

function ancestors(of: string): string[] {
  const parts = of.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** What a set of keys is like, counted in the simplest way. */
class Model {
  readonly keys = new Set<string>()

  apply(each: Step): void {
    if (each.do === 'add') this.keys.add(each.key)
    else if (each.do === 'remove') this.keys.delete(each.key)
    else if (each.do === 'clear') this.keys.clear()
  }

  below(path: string): string[] {
    return [...this.keys].filter((each) => each.startsWith(`${path}/`))
  }

  /** Keys and directories, and what is there besides them. */
  paths(): Set<string> {
    return new Set([...this.keys].flatMap((each) => [each, ...ancestors(each)]).concat(META_DIRECTORY))
  }

  /** Paths that would lie in the place of the key or of one of its directories, under another spelling. */
  otherSpellings(of: string, fold: (name: string) => string): Set<string> {
    const own = [of, ...ancestors(of)]
    return new Set(
      [...this.paths()].filter((path) => own.some((each) => path !== each && fold(path) === fold(each))),
    )
  }

  /** All that can keep a key from being a file. */
  blocking(of: string, fold: ((name: string) => string) | null): Set<string> {
    const spelled = fold === null ? [] : this.otherSpellings(of, fold)
    return new Set([...ancestors(of).filter((each) => this.keys.has(each)), ...this.below(of), ...spelled])
  }
}

function apply(names: Names, each: Step): void {
  if (each.do === 'add') names.add(each.key)
  else if (each.do === 'remove') names.remove(each.key)
  else if (each.do === 'clear') names.clear()
  else names.sorted()
}

describe('Names', () => {
  test('are a sorted set, whatever is added, removed and listed in between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const names = new Names([], null)
        const model = new Model()
        for (const each of steps) {
          apply(names, each)
          model.apply(each)
          expect(names.count).toBe(model.keys.size)
        }
        expect(names.sorted()).toEqual([...model.keys].toSorted(compareUtf8))
        expect([...names].toSorted(compareUtf8)).toEqual(names.sorted())
      }),
    )
  })

  test('count what lies below a path', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), key, (steps, path) => {
        const names = new Names([], null)
        const model = new Model()
        for (const each of steps) {
          apply(names, each)
          model.apply(each)
        }
        expect(names.below(path)).toBe(model.below(path).length)
        expect(names.has(path)).toBe(model.keys.has(path))
      }),
    )
  })

  test('are in the order of UTF-8 bytes, which is not that of JavaScript', () => {
    const sorted = ['A', 'Z', 'a b', 'a!', 'a-b', 'a.b', 'a/b', 'a0', 'aa', '\uff5e', '\u{1f600}']
    expect(new Names(sorted.toReversed(), null).sorted()).toEqual(sorted)
    const names = new Names(['\u{1f600}'], null)
    names.sorted()
    names.add('\uff5e')
    expect(names.sorted()).toEqual(['\uff5e', '\u{1f600}'])
  })

  test('I9: their memory is accounted for, directories too, and is given back', () => {
    const names = new Names([], null)
    names.add('a')
    const shallow = names.bytes
    const deep = Array.from({ length: 500 }, () => 'd').join('/')
    names.add(deep)
    expect(names.bytes).toBeGreaterThan(500 * 50)
    names.remove(deep)
    expect(names.bytes).toBe(shallow)
    names.remove('a')
    expect(names.bytes).toBe(0)
    names.add('a')
    names.clear()
    expect(names.bytes).toBe(0)
  })

  test('I9: a key that comes and goes without anybody listing does not pile up', () => {
    const names = new Names(['stays'], null)
    names.sorted()
    for (let index = 0; index < 10_000; index++) {
      names.add('comes')
      names.remove('comes')
    }
    names.add('last')
    expect(names.sorted()).toEqual(['last', 'stays'])
  })

  test('a list that was given out does not change', () => {
    const names = new Names(['b', 'c'], null)
    const list = names.sorted()
    names.add('a')
    names.remove('b')
    expect(names.sorted()).toEqual(['a', 'c'])
    expect(list).toEqual(['b', 'c'])
  })

  test('names such as __proto__ are ordinary', () => {
    const names = new Names(['__proto__', 'constructor/toString', 'hasOwnProperty'], null)
    expect(names.has('__proto__')).toBe(true)
    expect(names.has('toString')).toBe(false)
    expect(names.below('constructor')).toBe(1)
    expect(names.below('valueOf')).toBe(0)
  })
})

describe('PlannedNames', () => {
  /** A plan that came so far: the committed steps, then its own. */
  function planned(committed: readonly Step[], own: readonly Step[], fold: typeof foldCase | null) {
    const names = new Names([], fold)
    const model = new Model()
    for (const each of committed) {
      if (each.do === 'add' && model.blocking(each.key, fold).size > 0) continue
      apply(names, each)
      model.apply(each)
    }
    const plan = new PlannedNames(names)
    for (const each of own) {
      // As the planner does it.
      if (each.do === 'add' && model.blocking(each.key, fold).size > 0) continue
      if (each.do === 'add') plan.add(each.key)
      else if (each.do === 'remove') plan.remove(each.key)
      else if (each.do === 'clear') plan.clear()
      model.apply(each)
    }
    return { plan, model, names }
  }

  const steps = fc.array(step, { maxLength: 15 })

  test('I7: are what the names would be after the plan, and leave the names alone', () => {
    fc.assert(
      fc.property(steps, steps, key, (committed, own, asked) => {
        const { plan, model, names } = planned(committed, own, null)
        expect(plan.count).toBe(model.keys.size)
        expect(plan.has(asked)).toBe(model.keys.has(asked))
        const before = planned(committed, [], null)
        expect(names.sorted()).toEqual([...before.model.keys].toSorted(compareUtf8))
      }),
    )
  })

  test('I7: name a key that is in the way of another, exactly if there is one', () => {
    for (const fold of [null, foldCase]) {
      fc.assert(
        fc.property(steps, steps, key, (committed, own, asked) => {
          const { plan, model } = planned(committed, own, fold)
          fc.pre(!model.keys.has(asked))
          const blocking = model.blocking(asked, fold)
          const by = plan.blockedBy(asked)
          if (blocking.size === 0) expect(by).toBeNull()
          else expect(blocking).toContain(by)
        }),
        { numRuns: 500 },
      )
    }
  })

  test('I7: a removal of the namespace does not take away that the medium folds names', () => {
    const plan = new PlannedNames(new Names(['old'], foldCase))
    plan.clear()
    plan.add('readme')
    expect(plan.blockedBy('README')).toBe('readme')
    expect(plan.blockedBy('OLD')).toBeNull()
    expect(plan.blockedBy(META_DIRECTORY.toUpperCase())).toBe(META_DIRECTORY)
  })

  test('I7: of two spellings that are there already, each is in the way of a third', () => {
    // The fold takes more names for one than the medium did.
    const names = new Names(['name', 'Name'], foldCase)
    names.remove('name')
    expect(new PlannedNames(names).blockedBy('NAME')).toBe('Name')
    const plan = new PlannedNames(new Names(['name', 'Name'], foldCase))
    plan.remove('name')
    expect(plan.blockedBy('NAME')).toBe('Name')
    plan.remove('Name')
    expect(plan.blockedBy('NAME')).toBeNull()
  })

  test('I3: a large plan of new keys is planned quickly where names are folded', () => {
    let folds = 0
    const names = new Names([], (name) => {
      folds++
      return name.toLowerCase()
    })
    const plan = new PlannedNames(names)
    for (let index = 0; index < 1000; index++) {
      expect(plan.blockedBy(`k${index}`)).toBeNull()
      plan.add(`k${index}`)
    }
    expect(folds).toBeLessThan(20_000)
  })
})
