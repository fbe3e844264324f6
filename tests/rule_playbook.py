"""A playbook with every feature of the rules, and clocks of hours, so that short logs meet them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from processors.playbook import Playbook, compile_playbook
from schemas.playbook import load_playbook

TEXT = """\
name: rules
version: 7
currency: USD
rfm: {recency_days: 2, frequency: 2, monetary_minor: 5000}
stages:
  customer: {new_for: 3d}
  engagement:
    active: [message_received, group_joined, order_paid]
    silent_after: 30h
    lost_after: 3d
  machines:
    - name: course
      states:
        - {name: stranger}
        - name: warm
          when: {count: {event: [message_received, group_joined], within: 36h, at_least: 1}}
        - name: hot
          when: {tag: reader, stage: {machine: aipl, in: [interest, purchase, loyalty]}}
        - name: student
          when: {stage: {machine: customer, in: [new_purchased, old_purchased, old_repeat]}}
    - name: second
      states:
        - {name: low}
        - name: high
          when:
            stage: {machine: course, is: student}
            segment: [important_value, important_develop]
tags:
  - name: reader
    when: {count: {event: page_viewed, where: {category: course}, within: 24h, at_least: 2}}
  - name: calm
    when: {count: {event: [page_viewed, message_received], within: 18h, at_most: 1}}
  - name: spender
    when: {sum: {event: order_paid, field: amount_minor, within: 2d, at_least: 5000}}
  - name: watcher
    when:
      sum:
        event: page_viewed
        where: {page: {starts_with: /course/}}
        field: duration_ms
        within: 5d
        at_least: 4000
        at_most: 9000
  - name: ever
    when: {sum: {event: trial_started, field: amount_minor, at_least: 100}}
  - name: quiet
    when: {not_done: {event: message_received, where: {length: {at_least: 3}}, for: 20h}}
  - name: hooked
    when:
      sequence:
        first: {event: page_viewed}
        then: {event: message_received, where: {intent: price}}
        within: 12h
  - name: mixed
    when:
      any:
        - {tag: reader, not: {tag: spender}}
        - all: [{friend: held}, {attribute: {name: city, in: [a, b]}}]
        - {stage: {machine: engagement, is: lost}, friend: lost}
        - {stage: {machine: tier, is: gold}}
  - name: home
    when: {count: {event: page_viewed, at_least: 1}}
    value: {attribute: city}
  - name: exam-year
    value: {attribute: exam_year}
  - name: local
    when: {attribute: {name: city, not_equals: a}, tag: {name: exam-year, at_least: 3}}
    value: {attribute: city}
  - name: intention
    levels:
      - {value: high, when: {tag: hooked}}
      - value: middle
        when: {any: [{tag: reader}, {tag: quiet, stage: {machine: aipl, is: interest}}]}
      - {value: 0, when: {count: {event: page_viewed, at_least: 1}}}
  - {name: early, group: phase, when: {count: {event: page_viewed, within: 3d, at_least: 3}}}
  - {name: late, group: phase, when: {count: {event: page_viewed, at_least: 3}}}
  - name: asked
    when: {event: message_received, where: {intent: price}}
    until: {event: order_paid, where: {amount_minor: {more_than: 100}}}
    ttl: 40h
  - name: asked-and-reads
    when: {tag: asked, any: [{tag: reader}, {segment: general_develop}]}
  - name: school
    when: {event: attribute_set, where: {name: school}}
    value: {field: value}
  - name: from
    when: {event: [link_scanned, friend_added], where: {channel: {in: [wecom, shop]}}}
    value: {field: channel}
    ttl: 3d
  - name: first
    group: attempt
    when: {event: activity_attended, where: {activity: one}}
    ttl: 50h
  - name: again
    group: attempt
    when: {event: activity_attended, where: {activity: {in: [two, three]}}}
  - name: never
    group: attempt
    when: {event: activity_attended, where: {activity: three}}
    until: {event: group_joined}
  - name: level
    levels:
      - {value: a, when: {event: content_shared, where: {positive: true}}}
      - {value: b, when: {event: [content_shared, group_joined]}}
  - {name: vip}
points:
  orders: {each: 5, every_minor: 100, points: 2}
  events:
    - {event: [activity_attended, content_shared], points: 30}
    - {event: page_viewed, where: {duration_ms: {at_least: 3000}}, points: 7}
tiers:
  within: 2d
  keep_for: 30h
  levels: [{name: bronze, from: 0}, {name: silver, from: 40}, {name: gold, from: 120}]
"""
PLAIN: dict[str, Any] = yaml.safe_load(TEXT)
"""The playbook as YAML has it, for references that know nothing of our models."""


def compiled(text: str) -> Playbook:
    """Read, check and compile a playbook."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_playbook(load_playbook(path))
