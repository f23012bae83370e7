"""Counts the words of a text on the workers, and prints the most frequent ones.

    words.py FILE
"""

import re
import sys

from pyspark.sql import SparkSession

SHOWN = 8
PARTITIONS = 6

spark = SparkSession.builder.appName("words").getOrCreate()
with open(sys.argv[1], encoding="utf-8") as file:
    lines = spark.sparkContext.parallelize(file.read().splitlines(), PARTITIONS)
counts = (
    lines.flatMap(lambda line: re.findall("[a-z]+", line.lower()))
    .map(lambda word: (word, 1))
    .reduceByKey(lambda one, other: one + other)
    .collect()
)
print(sum(count for _, count in counts), "words,", len(counts), "different ones")
for word, count in sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:SHOWN]:
    print(count, word)
spark.stop()
