"""Work in Spark's tasks, whose worker may have computed before."""

import tensorflow as tf

from medspark.train.spark_tasks import use_cores


def test_a_worker_that_has_computed_before_goes_on_with_the_cores_that_it_had():
    tf.constant(1.0) + 1.0
    before = tf.config.threading.get_intra_op_parallelism_threads()
    use_cores(before + 1)
    assert tf.config.threading.get_intra_op_parallelism_threads() == before
