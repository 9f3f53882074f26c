PRI * HTTP/2.0

SM

