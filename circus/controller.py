"""Requests to replies, under the path that existing programs know; the work is `circus.control.controller`."""

from circus.control.controller import Controller as Controller
