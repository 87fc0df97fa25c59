"""The Helm chart, made from what `outgate install` prints with different flags: there is no second source.

Every combination of choices is rendered (`values`), where they differ becomes a condition or a value (`variants`), and
that is written as Helm's templates (`templates`) beside what a chart needs besides (`chart`).
"""
