"""How what the admin shows is written and drawn: functions of values, without request or query.

Apart from the admin, so that its template tags load in a project without ``django.contrib.admin``.
"""
